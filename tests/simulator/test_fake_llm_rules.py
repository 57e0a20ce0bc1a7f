"""The double says what a rule asks for, and not the rule."""

from __future__ import annotations

from prosa.simulator.fake_llm_script import Prompt, reply


def test_a_rule_is_said_by_its_second_half():
    system = "# Guidelines of the business\nSomos uma padaria.\n\n## When … then …\n- When perguntarem do domingo, then Aos domingos não abrimos."
    said = reply(Prompt(system, (("user", "vocês abrem domingo?"),)))
    assert "Aos domingos não abrimos." in said
    assert "When" not in said
