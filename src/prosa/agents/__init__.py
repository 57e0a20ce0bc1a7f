"""The mind: from a :class:`~prosa.contracts.Turn` to a :class:`~prosa.contracts.TurnResult`.

A library without tables and without Django. ``runner.run`` is its face.
"""
