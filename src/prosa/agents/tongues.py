"""The words ``aloud`` needs in each language: months, money, units, and how a number is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted: one, many, and whether it is feminine."""

    one: str
    many: str
    feminine: bool = False


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language as it is read aloud. ``signs``: a mark → its word. ``scales``: words that stand between a price's
    number and its currency (``2 milhões de reais``)."""

    code: str
    months: tuple[str, ...]
    money: dict[str, tuple[Noun, Noun]]
    units: dict[str, Noun]
    signs: dict[str, str]
    scales: tuple[str, ...]
    decimal: str  # the word for the decimal mark
    minus: str
    percent: str
    plus: str
    dot: str
    slash: str
    at: str
    dash: str
    underscore: str
    conjunction: str
    times: Noun
    hour: Noun
    minutes: Noun
    seconds: Noun
    midnight: str
    noon: str
    of: str


_CENTAVOS: Final = Noun("centavo", "centavos")
_REAIS: Final = (Noun("real", "reais"), _CENTAVOS)

PORTUGUESE: Final = Tongue(
    code="pt",
    months=(
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ),
    money={
        "R$": _REAIS,
        "BRL": _REAIS,
        "US$": (Noun("dólar", "dólares"), _CENTAVOS),
        "USD": (Noun("dólar", "dólares"), _CENTAVOS),
        "$": (Noun("dólar", "dólares"), _CENTAVOS),
        "€": (Noun("euro", "euros"), Noun("centavo", "centavos")),
        "EUR": (Noun("euro", "euros"), Noun("centavo", "centavos")),
        "£": (Noun("libra", "libras", feminine=True), Noun("pêni", "pence")),
    },
    units={
        "kg": Noun("quilo", "quilos"),
        "g": Noun("grama", "gramas"),
        "mg": Noun("miligrama", "miligramas"),
        "l": Noun("litro", "litros"),
        "ml": Noun("mililitro", "mililitros"),
        "km": Noun("quilômetro", "quilômetros"),
        "m": Noun("metro", "metros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "m²": Noun("metro quadrado", "metros quadrados"),
        "km/h": Noun("quilômetro por hora", "quilômetros por hora"),
        "°C": Noun("grau", "graus"),
        "min": Noun("minuto", "minutos"),
        "GB": Noun("gigabyte", "gigabytes"),
        "MB": Noun("megabyte", "megabytes"),
        "un": Noun("unidade", "unidades", feminine=True),
    },
    signs={
        "&": "e",
        "nº": "número",
        "n°": "número",
        "=": "igual a",
        "≥": "pelo menos",
        "≤": "no máximo",
        "~": "cerca de",
    },
    scales=("mil", "milhão", "milhões", "bilhão", "bilhões"),
    decimal="vírgula",
    minus="menos",
    percent="por cento",
    plus="mais",
    dot="ponto",
    slash="barra",
    at="arroba",
    dash="traço",
    underscore="sublinhado",
    conjunction="e",
    times=Noun("vez", "vezes", feminine=True),
    hour=Noun("hora", "horas", feminine=True),
    minutes=Noun("minuto", "minutos"),
    seconds=Noun("segundo", "segundos"),
    midnight="meia-noite",
    noon="meio-dia",
    of="de",
)

_PESOS: Final = (Noun("peso", "pesos"), _CENTAVOS)
_DOLARES: Final = (Noun("dólar", "dólares"), Noun("centavo", "centavos"))

SPANISH: Final = Tongue(
    code="es",
    months=(
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ),
    money={
        "R$": (Noun("real", "reales"), _CENTAVOS),
        "BRL": (Noun("real", "reales"), _CENTAVOS),
        "US$": _DOLARES,
        "USD": _DOLARES,
        "$": _PESOS,
        "MXN": _PESOS,
        "ARS": _PESOS,
        "€": (Noun("euro", "euros"), Noun("céntimo", "céntimos")),
        "EUR": (Noun("euro", "euros"), Noun("céntimo", "céntimos")),
        "£": (Noun("libra", "libras", feminine=True), Noun("penique", "peniques")),
    },
    units={
        "kg": Noun("kilo", "kilos"),
        "g": Noun("gramo", "gramos"),
        "mg": Noun("miligramo", "miligramos"),
        "l": Noun("litro", "litros"),
        "ml": Noun("mililitro", "mililitros"),
        "km": Noun("kilómetro", "kilómetros"),
        "m": Noun("metro", "metros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "m²": Noun("metro cuadrado", "metros cuadrados"),
        "km/h": Noun("kilómetro por hora", "kilómetros por hora"),
        "°C": Noun("grado", "grados"),
        "min": Noun("minuto", "minutos"),
        "GB": Noun("gigabyte", "gigabytes"),
        "MB": Noun("megabyte", "megabytes"),
        "ud": Noun("unidad", "unidades", feminine=True),
    },
    signs={"&": "y", "nº": "número", "n°": "número", "=": "igual a", "≥": "al menos", "≤": "como máximo", "~": "unos"},
    scales=("mil", "millón", "millones"),
    decimal="coma",
    minus="menos",
    percent="por ciento",
    plus="más",
    dot="punto",
    slash="barra",
    at="arroba",
    dash="guion",
    underscore="guion bajo",
    conjunction="con",
    times=Noun("vez", "veces", feminine=True),
    hour=Noun("hora", "horas", feminine=True),
    minutes=Noun("minuto", "minutos"),
    seconds=Noun("segundo", "segundos"),
    midnight="medianoche",
    noon="mediodía",
    of="de",
)

_DOLLARS: Final = (Noun("dollar", "dollars"), Noun("cent", "cents"))

ENGLISH: Final = Tongue(
    code="en",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    money={
        "R$": (Noun("real", "reais"), Noun("centavo", "centavos")),
        "BRL": (Noun("real", "reais"), Noun("centavo", "centavos")),
        "US$": _DOLLARS,
        "USD": _DOLLARS,
        "$": _DOLLARS,
        "€": (Noun("euro", "euros"), Noun("cent", "cents")),
        "EUR": (Noun("euro", "euros"), Noun("cent", "cents")),
        "£": (Noun("pound", "pounds"), Noun("penny", "pence")),
    },
    units={
        "kg": Noun("kilo", "kilos"),
        "g": Noun("gram", "grams"),
        "mg": Noun("milligram", "milligrams"),
        "l": Noun("liter", "liters"),
        "ml": Noun("milliliter", "milliliters"),
        "km": Noun("kilometer", "kilometers"),
        "m": Noun("meter", "meters"),
        "cm": Noun("centimeter", "centimeters"),
        "mm": Noun("millimeter", "millimeters"),
        "m²": Noun("square meter", "square meters"),
        "km/h": Noun("kilometer per hour", "kilometers per hour"),
        "°C": Noun("degree Celsius", "degrees Celsius"),
        "°F": Noun("degree Fahrenheit", "degrees Fahrenheit"),
        "min": Noun("minute", "minutes"),
        "GB": Noun("gigabyte", "gigabytes"),
        "MB": Noun("megabyte", "megabytes"),
        "lb": Noun("pound", "pounds"),
        "oz": Noun("ounce", "ounces"),
    },
    signs={"&": "and", "=": "equals", "≥": "at least", "≤": "at most", "~": "about"},
    scales=("thousand", "million", "billion"),
    decimal="point",
    minus="minus",
    percent="percent",
    plus="plus",
    dot="dot",
    slash="slash",
    at="at",
    dash="dash",
    underscore="underscore",
    conjunction="and",
    times=Noun("time", "times"),
    hour=Noun("o'clock", "o'clock"),
    minutes=Noun("minute", "minutes"),
    seconds=Noun("second", "seconds"),
    midnight="midnight",
    noon="noon",
    of="of",
)

TONGUES: Final = {"pt": PORTUGUESE, "es": SPANISH, "en": ENGLISH}
POINT_COUNTRIES: Final = frozenset({"MX", "US", "PR", "DO", "GT", "HN", "NI", "PA", "SV"})
"""Where Spanish is written with a decimal point."""


def tongue(locale: str) -> Tongue:
    """The language of a locale; one we do not speak is read as English."""
    return TONGUES.get(locale.replace("_", "-").partition("-")[0].lower(), ENGLISH)


def region(locale: str) -> str:
    """``BR`` of ``pt-BR``, empty when none is given."""
    return locale.replace("_", "-").partition("-")[2].upper()
