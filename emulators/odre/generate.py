"""Generated sample data of all four datasets, with every trap that the real source sets.

Every figure is a function of the seed and of the instant that it belongs to, never of the anchor: a source whose
anchor is later shows the same past and more of it. Noise is hashed from the instant (:class:`_Noise`) instead of drawn
in sequence.

The physics are those of an introductory course: sun and season drive temperature; temperature, hour and weekday drive
consumption; nuclear, wind, sun and water serve it first, gas follows what is left, and the borders balance. Gas goes
into storage from April to October and out of it from November to March, the faster the colder it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from emulators.odre.source import Dataset
from odre.contracts import read_contract

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PARIS: Final = ZoneInfo("Europe/Paris")
REAL_TIME: Final = "eco2mix-national-tr"
CONSOLIDATED: Final = "eco2mix-national-cons-def"
GAS: Final = "stock-quotidien-stockages-gaz"
TEMPERATURE: Final = "temperature-quotidienne-regionale"

STEP: Final = 900
STEPS_A_DAY: Final = 96
BLOCK_DAYS: Final = 2_000

#: A month is consolidated this long after its end: the real-time table then starts 125 to 156 days ago.
CONSOLIDATION: Final = timedelta(days=125)
#: Figures are measured this long before the real-time table shows them.
DELAY: Final = timedelta(minutes=45)
#: Whole empty days that the real-time table holds after the present one.
EMPTY_DAYS: Final = 2

#: First days of the datasets at the source.
FIRST_POWER: Final = date(2012, 1, 1)
FIRST_GAS: Final = date(2010, 11, 1)
FIRST_TEMPERATURE: Final = date(2016, 1, 1)

#: INSEE code, name, inhabitants in millions, mean temperature and half the yearly range, °C.
REGIONS: Final = (
    (11, "Île-de-France", 12.32, 12.3, 7.9),
    (24, "Centre-Val de Loire", 2.57, 12.1, 7.8),
    (27, "Bourgogne-Franche-Comté", 2.80, 11.5, 8.7),
    (28, "Normandie", 3.33, 11.3, 6.4),
    (32, "Hauts-de-France", 6.00, 11.2, 7.3),
    (44, "Grand Est", 5.56, 11.1, 8.8),
    (52, "Pays de la Loire", 3.85, 12.5, 6.9),
    (53, "Bretagne", 3.39, 12.0, 5.7),
    (75, "Nouvelle-Aquitaine", 6.07, 13.4, 7.4),
    (76, "Occitanie", 6.02, 14.1, 8.0),
    (84, "Auvergne-Rhône-Alpes", 8.11, 12.0, 8.9),
    (93, "Provence-Alpes-Côte d'Azur", 5.13, 14.3, 8.1),
    (94, "Corse", 0.35, 15.4, 7.2),
)
FORMER_LABEL: Final = {11: "Ile-de-France"}

#: Operator, storage point, capacity in GWh, days by which it lags the national curve.
STORAGE_POINTS: Final = (
    ("Storengy", "Centre", 45_500.0, 0.0),
    ("Storengy", "Saline", 11_600.0, -6.0),
    ("Storengy", "Sediane", 13_400.0, 4.0),
    ("Storengy", "Sediane B", 12_600.0, 8.0),
    ("Storengy", "Serene", 17_400.0, 2.0),
    ("Teréga", "Teréga", 32_000.0, -3.0),
)

#: Share in the balance at the borders, bias in MW and capacity in MW, of each commercial exchange.
BORDERS: Final = {
    "angleterre": (0.20, -500.0, 4_000.0),
    "espagne": (0.15, 300.0, 3_500.0),
    "italie": (0.20, -1_300.0, 4_400.0),
    "suisse": (0.20, -200.0, 3_700.0),
    "allemagne_belgique": (0.25, 1_700.0, 9_100.0),
}

SUB_TECHNOLOGIES: Final = {
    "fioul": ("fioul_tac", "fioul_cogen", "fioul_autres"),
    "gaz": ("gaz_tac", "gaz_cogen", "gaz_ccg", "gaz_autres"),
    "hydraulique": ("hydraulique_fil_eau_eclusee", "hydraulique_lacs", "hydraulique_step_turbinage"),
    "bioenergies": ("bioenergies_dechets", "bioenergies_biomasse", "bioenergies_biogaz"),
    "eolien": ("eolien_terrestre", "eolien_offshore"),
}
SOURCES: Final = ("fioul", "charbon", "gaz", "nucleaire", "eolien", "solaire", "hydraulique", "bioenergies")

#: Direct emissions, gCO2/kWh.
EMISSIONS: Final = {"charbon": 986.0, "fioul": 777.0, "gaz": 429.0, "bioenergies_dechets": 494.0}


def _salt(text: str) -> int:
    """A number of a name that is the same in every process (``hash`` is not)."""
    number = 14695981039346656037
    for byte in text.encode():
        number = (number ^ byte) * 1099511628211 % 2**64
    return number


@dataclass(frozen=True)
class _Noise:
    """Noise that is a function of the seed, of a name and of a whole number such as an instant."""

    seed: int

    def uniform(self, name: str, index: Ints) -> Floats:
        """In [0, 1): SplitMix64 of the index."""
        with np.errstate(over="ignore"):
            state = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(_salt(f"{self.seed}/{name}"))
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
        return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, name: str, index: Ints) -> Floats:
        """Standard normal, by Box and Muller."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(name + "/radius", index)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(name + "/angle", index)))

    def smooth(self, name: str, position: Floats) -> Floats:
        """About standard normal, straight lines between the whole numbers: ``position`` counts correlation lengths."""
        first = int(np.floor(position.min())) if len(position) else 0
        last = int(np.ceil(position.max())) + 1 if len(position) else 1
        knots = np.arange(first, last + 1, dtype=np.int64)
        return np.asarray(1.22 * np.interp(position, knots, self.normal(name, knots)))


def _day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _season(days: Floats) -> Floats:
    """1 in the middle of January, −1 in the middle of July."""
    return np.asarray(np.cos(2.0 * np.pi * (days - 17.0) / 365.2425))


@dataclass(frozen=True)
class _Climate:
    """Temperatures by day."""

    noise: _Noise

    def region(self, code: int, mean: float, amplitude: float, days: Ints) -> Floats:
        """Mean temperature of a region, °C, by day number."""
        position = days.astype(np.float64)
        weather = 2.6 * self.noise.smooth("weather", position / 4.0) + 1.5 * self.noise.smooth("spell", position / 18.0)
        local = 0.9 * self.noise.smooth(f"weather/{code}", position / 3.0)
        return np.asarray(mean - amplitude * _season(position) + weather + local)

    def national(self, days: Ints) -> Floats:
        """The mean over the regions, weighted by their inhabitants, °C."""
        weighted = sum(people * self.region(code, mean, half, days) for code, _, people, mean, half in REGIONS)
        return np.asarray(weighted / sum(people for _, _, people, _, _ in REGIONS))


@dataclass(frozen=True)
class Effect:
    """A known course of one production in place of its physics, for tests of what statistics find.

    Its mean power of a day is ``level + slope * temperature(lag_days before) + seasonal * season + noise``, with the
    national mean temperature of that day and independent noise from day to day. All zero but level and noise: nothing
    to be found.

    Attributes:
        column: a production without parts (``nucleaire``, ``solaire``, ``charbon``), or a part of one.
        slope: MW per °C.
        lag_days: days by which temperature comes before.
        seasonal: MW, more in the middle of January and less in the middle of July.
        level: MW at 0 °C, in spring and autumn.
        noise: standard deviation, MW.
    """

    column: str
    slope: float = 0.0
    lag_days: int = 0
    seasonal: float = 0.0
    level: float = 20_000.0
    noise: float = 300.0

    @classmethod
    def parse(cls, text: str) -> Effect:
        """From ``nucleaire:slope=-300,lag_days=30``.

        Raises:
            ValueError: it names no such figure, or gives one that is no number.
        """
        column, _, figures = text.partition(":")
        known = {"slope": float, "lag_days": int, "seasonal": float, "level": float, "noise": float}
        given: dict[str, Any] = {}
        for figure in filter(None, figures.split(",")):
            name, _, value = figure.partition("=")
            if name not in known:
                raise ValueError(f"{text}: {name!r} is none of {', '.join(known)}")
            given[name] = known[name](value)
        return cls(column, **given)

    def power(self, noise: _Noise, steps: _Steps) -> Floats:
        """MW at each step.

        Raises:
            ValueError: a production would be negative.
        """
        civil = steps.local // 86_400
        days = np.arange(int(civil.min()), int(civil.max()) + 1, dtype=np.int64)
        values = (
            self.level
            + self.slope * _Climate(noise).national(days - self.lag_days)
            + self.seasonal * _season(days.astype(np.float64))
            + self.noise * noise.normal(f"effet/{self.column}", days)
        )
        if values.min() < 0:
            raise ValueError(f"The effect on {self.column} makes its production negative: give it a higher level")
        return np.asarray(values[civil - days[0]])


@dataclass(frozen=True)
class _Steps:
    """The quarters of an hour of civil days in Paris, as the source counts them: 96 a day, whatever the clocks do."""

    first: date
    days: int

    @cached_property
    def local(self) -> Ints:
        """Wall-clock seconds since 1970-01-01 00:00."""
        return _day_number(self.first) * 86_400 + STEP * np.arange(self.days * STEPS_A_DAY, dtype=np.int64)

    @cached_property
    def utc(self) -> Ints:
        """Seconds since 1970-01-01T00:00:00Z."""
        wall_clock = pa.array(self.local, pa.timestamp("s"))
        instants = pc.assume_timezone(wall_clock, "Europe/Paris", ambiguous="latest", nonexistent="latest")
        exists = pc.equal(pc.local_timestamp(instants), wall_clock).to_numpy(zero_copy_only=False)
        utc = instants.cast(pa.int64()).to_numpy(zero_copy_only=False).copy()
        # A time that the clocks leap over is counted on from the time before: it collides with the hour after.
        before = np.maximum.accumulate(np.where(exists, np.arange(len(utc)), 0))
        return np.asarray(np.where(exists, utc, self.local - (self.local - utc)[before]))

    def blocks(self) -> list[_Steps]:
        """The same in pieces that fit into memory with all columns."""
        starts = range(0, self.days, BLOCK_DAYS)
        return [_Steps(self.first + timedelta(days=at), min(BLOCK_DAYS, self.days - at)) for at in starts]


def _bump(hour: Floats, at: float, width: float) -> Floats:
    """1 at an hour of the day, nearly 0 further away than twice the width."""
    distance = (hour - at + 12.0) % 24.0 - 12.0
    return np.asarray(np.exp(-((distance / width) ** 2)))


def _above(values: Floats, least: float = 0.0) -> Floats:
    return np.maximum(values, least)


def _power(noise: _Noise, steps: _Steps, effects: Sequence[Effect]) -> dict[str, Floats]:
    """True figures of each step, MW: consumption, what is not the sum of others, and what the borders follow."""
    utc, local = steps.utc, steps.local
    hour = (local % 86_400) / 3_600.0
    weekday = (local // 86_400 + 3) % 7
    days = utc / 86_400.0
    season = _season(days)

    def slow(name: str, hours: float) -> Floats:
        return noise.smooth(name, utc / (3_600.0 * hours))

    around = np.arange(int(days.min()) - 2, int(days.max()) + 3, dtype=np.int64)
    outside = np.interp(days, around + 0.5, _Climate(noise).national(around))
    morning, noon, evening, night = _bump(hour, 8.5, 2), _bump(hour, 13, 2.5), _bump(hour, 19.5, 2), _bump(hour, 3.5, 3)
    true: dict[str, Floats] = {}
    true["consommation"] = (
        43_500.0
        + 1_900.0 * _above(16.0 - outside)
        + 600.0 * _above(outside - 21.0)
        - np.where(weekday >= 5, 4_300.0 + 900.0 * (weekday == 6), 0.0)
        + 2_600.0 * morning
        + 2_800.0 * noon
        + 4_300.0 * evening
        - 4_900.0 * night
        + 600.0 * slow("consommation", 7)
    )
    availability = 0.64 + 0.10 * season + 0.05 * slow("nucleaire", 480)
    true["nucleaire"] = np.clip(62_000.0 * availability + 900.0 * slow("modulation", 20), 15_000.0, 61_000.0)
    wind = np.clip(0.24 + 0.09 * season + 0.16 * slow("vent", 30) + 0.04 * slow("rafale", 5), 0.015, 0.88)
    sea = np.clip(wind * 1.3 + 0.08 * slow("vent en mer", 12), 0.01, 0.93)
    true["eolien_terrestre"], true["eolien_offshore"] = 22_500.0 * wind, 1_500.0 * sea
    declination = -0.4091 * np.cos(2.0 * np.pi * (days + 10.0) / 365.2425)
    hour_angle = 2.0 * np.pi * ((utc % 86_400) / 86_400.0 + 2.5 / 360.0 - 0.5)
    sun = 0.7254 * np.sin(declination) + 0.6884 * np.cos(declination) * np.cos(hour_angle)
    sky = np.clip(0.68 + 0.18 * slow("nuages", 40) + 0.06 * slow("eclaircie", 4), 0.12, 1.0)
    true["solaire"] = 20_000.0 * _above(sun) * sky
    river = 4_100.0 + 1_300.0 * np.cos(2.0 * np.pi * (days - 115.0) / 365.2425) + 350.0 * slow("pluie", 240)
    true["hydraulique_fil_eau_eclusee"] = _above(river, 900.0)
    peak = 1.0 + 0.35 * season
    true["hydraulique_lacs"] = _above(700.0 + peak * (1_500.0 * evening + 1_100.0 * morning) + 250.0 * slow("lacs", 12))
    true["hydraulique_step_turbinage"] = _above(peak * (2_000.0 * evening + 900.0 * morning) - 150.0)
    true["pompage"] = -_above(1_900.0 * night + 900.0 * noon * _above(sun) - 120.0 + 150.0 * slow("pompage", 9))
    true["bioenergies_dechets"] = 260.0 + 25.0 * slow("dechets", 90)
    true["bioenergies_biomasse"] = 420.0 + 90.0 * season + 40.0 * slow("biomasse", 70)
    true["bioenergies_biogaz"] = 295.0 + 4.0 * slow("biogaz", 200)
    tight = true["consommation"] - 68_000.0
    true["charbon"] = np.clip(0.12 * tight + 20.0 * slow("charbon", 30), 0.0, 1_750.0)
    true["fioul_tac"] = np.clip(0.07 * (tight - 8_000.0), 0.0, 1_200.0)
    true["fioul_cogen"] = 24.0 + 9.0 * season
    true["fioul_autres"] = 113.0 + 0.0 * season
    served = sum(
        true[name] for name in true if name not in ("consommation", "fioul_tac", "fioul_cogen", "fioul_autres")
    )
    demand = np.clip(900.0 + 0.30 * (true["consommation"] - served + 5_000.0), 450.0, 9_600.0)
    true["gaz_cogen"] = np.minimum(560.0 + 420.0 * season, 0.75 * demand)
    true["gaz_tac"] = _above(0.5 * (demand - 8_200.0))
    true["gaz_autres"] = 0.0 * season
    true["gaz_ccg"] = _above(demand - true["gaz_cogen"] - true["gaz_tac"])
    true["stockage_batterie"] = -_above(240.0 * noon * _above(sun) * sky + 60.0 * night + 25.0 * slow("batterie", 6))
    true["destockage_batterie"] = _above(210.0 * evening + 60.0 * morning - 10.0)
    for border, (_, bias, _) in BORDERS.items():
        true[f"ech_comm_{border}"] = bias + 650.0 * slow(f"ech_comm/{border}", 11)
    for effect in effects:
        if effect.column not in true or effect.column.startswith(("consommation", "pompage", "ech_", "stockage")):
            raise ValueError(f"{effect.column} is no production without parts, nor a part of one")
        true[effect.column] = effect.power(noise, steps)
    return true


#: Relative error of a figure by its state: what real time shows is restated by consolidation, and that once more.
ERRORS: Final = {"Données temps réel": 0.006, "Données consolidées": 0.0015, "Données définitives": 0.0}


def _figures(
    noise: _Noise, steps: _Steps, nature: npt.NDArray[Any], batteries: bool, effects: Sequence[Effect]
) -> dict[str, npt.NDArray[Any]]:
    """The figures that are published, whole MW: parts sum to their source, and the borders balance."""
    true = _power(noise, steps, effects)
    index = steps.utc // STEP
    error = np.select([nature == name for name in ERRORS], list(ERRORS.values()))
    state = "temps réel" if batteries else "consolidé"
    whole: dict[str, Any] = {}
    for name, values in true.items():
        if not name.startswith("ech_comm"):
            blurred = values * (1.0 + error * noise.normal(f"{state}/{name}", index))
            whole[name] = np.rint(blurred).astype(np.int32)
    for source, parts in SUB_TECHNOLOGIES.items():
        whole[source] = np.sum([whole[part] for part in parts], axis=0, dtype=np.int32)
    production = np.sum([whole[name] for name in SOURCES], axis=0, dtype=np.int32)
    balance = whole["consommation"] - production - whole["pompage"]
    if batteries:
        balance = balance - whole["stockage_batterie"] - whole["destockage_batterie"]
    # Each term is rounded by itself at the source: the sum is off by a megawatt or two.
    whole["ech_physiques"] = (balance + np.rint(noise.normal("arrondi", index) * 0.6)).astype(np.int32)
    emitted = sum(factor * whole[name] for name, factor in EMISSIONS.items())
    whole["taux_co2"] = np.rint(emitted / production).astype(np.int32)
    for border, (share, _, capacity) in BORDERS.items():
        exchange = share * whole["ech_physiques"] + true[f"ech_comm_{border}"]
        whole[f"ech_comm_{border}"] = np.rint(np.clip(exchange, -capacity, capacity)).astype(np.int32)
    for name, spread in (("prevision_j1", 800.0), ("prevision_j", 420.0)):
        forecast = true["consommation"] + spread * noise.smooth(name, steps.utc / 10_800.0)
        whole[name] = (np.rint(forecast / 50.0) * 50.0).astype(np.int32)
    return whole


def _off_balance(noise: _Noise, steps: _Steps, whole: dict[str, npt.NDArray[Any]]) -> None:
    """About one real-time row in a hundred whose consumption is wrong by 100 to 5,900 MW."""
    index = steps.utc // STEP
    wrong = noise.uniform("bilan faux", index) < 0.01
    size = 100.0 + 5_800.0 * noise.uniform("bilan faux/taille", index) ** 4
    sign = np.where(noise.uniform("bilan faux/signe", index) < 0.5, -1.0, 1.0)
    whole["consommation"] = whole["consommation"] + np.where(wrong, sign * size, 0.0).astype(np.int32)


def _least(values: Floats, among: Mask, count: int) -> Mask:
    """The few rows among some that have the smallest values."""
    chosen = np.zeros(len(values), dtype=np.bool_)
    candidates = np.flatnonzero(among)
    chosen[candidates[np.argsort(values[candidates], kind="stable")[:count]]] = True
    return chosen


def _array(values: npt.NDArray[Any], shown: Mask) -> pa.Array:
    return pa.array(values, mask=~shown)


@dataclass(frozen=True)
class _Generator:
    anchor: datetime
    years: int
    seed: int
    revision: int
    rows: int | None
    effects: Sequence[Effect]

    @cached_property
    def noise(self) -> _Noise:
        """The noise of this seed."""
        return _Noise(self.seed)

    @cached_property
    def today(self) -> date:
        """The civil day in Paris."""
        return self.anchor.astimezone(PARIS).date()

    @cached_property
    def start(self) -> date:
        """New Year, whole years ago: it stays for a year, so that data change only when something is published."""
        return date(self.today.year - self.years, 1, 1)

    @cached_property
    def consolidated_until(self) -> date:
        """The day at which consolidation ends and real time begins, the first of a month."""
        day = (self.anchor - CONSOLIDATION).astimezone(PARIS).date()
        return day.replace(day=1)

    @cached_property
    def definitive_until(self) -> date:
        """Figures of a year become definitive in June of the next."""
        return date(self.today.year - (self.today.month < 6), 1, 1)

    @cached_property
    def measured_until(self) -> int:
        """The last measured step of the real-time table, seconds since 1970."""
        return int((self.anchor - DELAY).timestamp()) // STEP * STEP

    def mark(self, *instants: datetime) -> datetime:
        """The latest of the instants at which a content changed, and a second for each restatement."""
        new_year = datetime(self.today.year, 1, 1, tzinfo=UTC)
        return max(new_year, *instants) + timedelta(seconds=self.revision)

    def real_time(self) -> Dataset:
        """``eco2mix-national-tr``."""
        end = self.today + timedelta(days=1 + EMPTY_DAYS)
        first = self.consolidated_until
        if self.rows is not None:
            first = end - timedelta(days=-(-self.rows // STEPS_A_DAY))
        table = pa.concat_tables([self._real_time_block(steps) for steps in _Steps(first, (end - first).days).blocks()])
        if self.rows is not None:
            table = table.slice(table.num_rows - self.rows)
        processed = datetime.fromtimestamp(int(self.anchor.timestamp()) // STEP * STEP, UTC)
        return self._dataset(REAL_TIME, table, self.mark(processed))

    def _real_time_block(self, steps: _Steps) -> pa.Table:
        noise, index = self.noise, steps.utc // STEP
        nature = np.full(len(index), "Données temps réel")
        whole = _figures(noise, steps, nature, batteries=True, effects=self.effects)
        _off_balance(noise, steps, whole)
        measured = steps.utc <= self.measured_until
        recent = measured & (steps.utc > self.measured_until - 2 * 86_400)
        self._restate(whole, index, recent, 12)
        tomorrow = (_day_number(self.today) + 1) * 86_400
        half_hour = steps.local % 1_800 == 0
        # Some months have exchanges at every step, as all have since 2023; others at :00 and :30 alone, as before.
        month = pc.month(pa.array(steps.local, pa.timestamp("s"))).to_numpy(zero_copy_only=False)
        every_step = month % 2 == 0
        exchanged = np.where(measured, every_step | half_hour, (steps.local < tomorrow) & half_hour)
        shown = {
            "prevision_j1": steps.local < tomorrow,
            "prevision_j": steps.local <= tomorrow,
            **{f"ech_comm_{border}": exchanged for border in BORDERS},
        }
        unknown = noise.uniform("ND", steps.local // 86_400) < 0.04

        def text(name: str) -> pa.Array:
            written = _array(whole[name], measured).cast(pa.string())
            return pc.if_else(pa.array(unknown & measured), "ND", written)

        return self._table(REAL_TIME, steps, nature, lambda name: _array(whole[name], shown.get(name, measured)), text)

    def consolidated(self) -> Dataset | None:
        """``eco2mix-national-cons-def``; ``None`` where real time reaches back further."""
        first, end = max(self.start, FIRST_POWER), self.consolidated_until
        if self.rows is not None or first >= end:
            return None
        blocks = _Steps(first, (end - first).days).blocks()
        table = pa.concat_tables([self._consolidated_block(steps) for steps in blocks])
        midnight = datetime(end.year, end.month, end.day, tzinfo=PARIS).astimezone(UTC)
        june = datetime(self.today.year - (self.today.month < 6), 6, 1, tzinfo=UTC)
        return self._dataset(CONSOLIDATED, table, self.mark(midnight + CONSOLIDATION, june))

    def _consolidated_block(self, steps: _Steps) -> pa.Table:
        definitive = steps.local < _day_number(self.definitive_until) * 86_400
        nature = np.where(definitive, "Données définitives", "Données consolidées")
        whole = _figures(self.noise, steps, nature, batteries=False, effects=self.effects)
        measured = steps.local % 1_800 == 0
        recent = measured & (steps.local >= (_day_number(self.consolidated_until) - 60) * 86_400)
        self._restate(whole, steps.utc // STEP, recent, 60)
        everywhere = np.ones(len(measured), dtype=np.bool_)
        return self._table(
            CONSOLIDATED,
            steps,
            nature,
            lambda name: _array(whole[name], everywhere if name.startswith("prevision") else measured),
            None,
        )

    def _restate(self, whole: dict[str, npt.NDArray[Any]], index: Ints, recent: Mask, count: int) -> None:
        """For each revision, other consumption and nuclear production in some recent rows."""
        for revision in range(1, self.revision + 1):
            changed = _least(self.noise.uniform(f"revision/{revision}", index), recent, count)
            change = np.where(changed, 40 + 7 * revision, 0).astype(np.int32)
            whole["consommation"] = whole["consommation"] + change
            whole["nucleaire"] = whole["nucleaire"] + change

    def _table(
        self,
        dataset: str,
        steps: _Steps,
        nature: npt.NDArray[Any],
        number: Callable[[str], pa.Array],
        text: Callable[[str], pa.Array] | None,
    ) -> pa.Table:
        """The columns of a dataset in its contract's order; ``text`` gives those that are numbers as text."""
        local = pa.array(steps.local, pa.timestamp("s")).cast(pa.string())
        columns: dict[str, Any] = {
            "perimetre": pa.array(np.full(len(nature), "France")),
            "nature": pa.array(nature),
            "date": pc.utf8_slice_codeunits(local, 0, 10),
            "heure": pc.utf8_slice_codeunits(local, 11, 16),
            "date_heure": pa.array(steps.utc * 1_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        }
        for column in read_contract(dataset).columns:
            if column.name not in columns:
                as_text = text is not None and column.name in ("eolien_terrestre", "eolien_offshore")
                as_text = as_text or column.name.endswith("_batterie")
                columns[column.name] = text(column.name) if as_text and text else number(column.name)
        return pa.table(columns)

    def gas(self) -> Dataset:
        """``stock-quotidien-stockages-gaz``."""
        published = datetime(self.today.year, self.today.month, self.today.day, 10, tzinfo=UTC)
        if published > self.anchor:
            published -= timedelta(days=1)
        last = {"Storengy": published.date() - timedelta(days=1)}
        # Teréga is late: its figures of a month come when the month is over.
        last["Teréga"] = last["Storengy"].replace(day=1) - timedelta(days=1)
        first = max(self.start, FIRST_GAS)
        fullness = self._fullness(last["Storengy"])
        parts = []
        for operator, point, capacity, lag in STORAGE_POINTS:
            days = np.arange(_day_number(first), _day_number(last[operator]) + 1, dtype=np.int64)
            shifted = np.interp(days - lag, _day_number(FIRST_GAS) + np.arange(len(fullness)), fullness)
            own = 0.012 * self.noise.smooth(f"stock/{point}", days / 40.0)
            stock = np.round(capacity * np.clip(shifted + own, 0.02, 1.02), 3)
            parts.append(
                pa.table(
                    {
                        "date": pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32()),
                        "stock_fin_de_journee": pa.array(stock),
                        "source": pa.array(np.full(len(days), operator)),
                        "pits": pa.array(np.full(len(days), point)),
                    }
                )
            )
        # No restatement was ever seen here: a revision changes nothing, not even the mark.
        mark = max(published, datetime(self.today.year, 1, 1, tzinfo=UTC))
        return self._dataset(GAS, pa.concat_tables(parts), mark)

    def _fullness(self, last: date) -> Floats:
        """National fullness at the end of each gas day since the first, 0 to about 1."""
        days = np.arange(_day_number(FIRST_GAS), _day_number(last) + 1, dtype=np.int64)
        cold = _above(18.0 - _Climate(self.noise).national(days))
        jitter = self.noise.normal("flux", days)
        values = np.empty(len(days))
        level = 0.97
        for at, day in enumerate(days.tolist()):
            today = date(1970, 1, 1) + timedelta(days=day)
            if 4 <= today.month <= 10:
                goal = 0.94 + 0.06 * float(self.noise.uniform("remplissage", np.array([today.year]))[0])
                left = (date(today.year, 10, 31) - today).days + 1
                level += (goal - level) / left * max(0.0, 1.0 + 0.35 * jitter[at] * (left > 5))
            else:
                level -= 0.00042 * cold[at] * (1.0 + 0.15 * jitter[at]) * min(1.0, max(0.0, level - 0.03) * 4.0)
            values[at] = level
        return values

    def temperature(self) -> Dataset:
        """``temperature-quotidienne-regionale``."""
        published = datetime(self.today.year, self.today.month, 5, 6, tzinfo=UTC)
        if published > self.anchor:
            published = (published.replace(day=1) - timedelta(days=1)).replace(day=5)
        first, end = max(self.start, FIRST_TEMPERATURE), published.date().replace(day=1)
        days = np.arange(_day_number(first), _day_number(end), dtype=np.int64)
        days = days[~self._missing(days)]
        last_quarter = days >= _day_number(end) - 90
        climate = _Climate(self.noise)
        relabelled = _day_number(date(first.year, 7, 1))
        texts = pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32()).cast(pa.string())
        parts = []
        for code, name, _, mean, amplitude in REGIONS:
            middle = climate.region(code, mean, amplitude, days)
            for revision in range(1, self.revision + 1):
                changed = _least(self.noise.uniform(f"revision/{revision}/{code}", days), last_quarter, 2)
                middle = middle + np.where(changed, 0.1 + 0.07 * revision, 0.0)
            span = np.clip(4.6 - 1.6 * _season(days.astype(np.float64)), 1.5, None)
            below = span * (0.75 + 0.5 * self.noise.uniform(f"tmin/{code}", days))
            above = span * (0.75 + 0.5 * self.noise.uniform(f"tmax/{code}", days))
            labels = np.where(days < relabelled, FORMER_LABEL.get(code, name), name)
            parts.append(
                pa.table(
                    {
                        "id": pc.binary_join_element_wise(texts, f"T00:00:00-{code}", ""),
                        "date": pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32()),
                        "code_insee_region": pa.array(np.full(len(days), code, dtype=np.int64)),
                        "region": pa.array(labels),
                        "tmin": pa.array(np.round(middle - below, 2)),
                        "tmax": pa.array(np.round(middle + above, 2)),
                        "tmoy": pa.array(np.round(middle, 2)),
                    }
                )
            )
        return self._dataset(TEMPERATURE, pa.concat_tables(parts), self.mark(published))

    def _missing(self, days: Ints) -> Mask:
        """Days that the source lost: nearly every last day of a month since 2023, few before."""
        following = (days + 1).astype("datetime64[D]")
        last_of_month = following == following.astype("datetime64[M]")
        share = np.where(following > np.datetime64("2023-01-01"), 0.85, 0.05)
        return np.asarray(last_of_month & (self.noise.uniform("jour perdu", days) < share))

    def _dataset(self, identifier: str, table: pa.Table, mark: datetime) -> Dataset:
        return Dataset.of(identifier, table, mark, about="generated sample data")


def generate(
    anchor: datetime,
    *,
    years: int = 3,
    seed: int = 0,
    revision: int = 0,
    rows: int | None = None,
    effects: Sequence[Effect] = (),
) -> list[Dataset]:
    """The four datasets as they would be at an instant.

    Args:
        anchor: the source's present, with a time zone.
        years: the history starts at New Year so many years before the anchor's (electricity not before 2012, gas not
            before 2010-11, temperatures not before 2016).
        seed: another seed gives other figures.
        revision: how often figures were restated: each restates some recent rows of electricity and temperatures.
        rows: give the real-time table this many rows and leave consolidation out; for measuring.
        effects: productions that follow a known rule instead; the borders balance what they add.

    Raises:
        ValueError: an effect is on a column that is no production, or makes one negative.
    """
    generator = _Generator(anchor.astimezone(UTC), years, seed, revision, rows, effects)
    datasets = [generator.real_time(), generator.consolidated(), generator.gas(), generator.temperature()]
    return [dataset for dataset in datasets if dataset is not None]
