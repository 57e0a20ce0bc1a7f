from django.apps import AppConfig


class SimulatorConfig(AppConfig):
    name = "prosa.simulator"
    label = "prosa_simulator"
