"""Which engine, device and threads are forecast to be fastest; and how good the forecasts were, once measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hotloop.insight.explanation import Forecast
from hotloop.insight.forecasting.forecast import forecast_eager, forecast_eager_gpu, forecast_native, native_prepare_s
from hotloop.insight.forecasting.work import Work
from hotloop.insight.interval import Interval
from hotloop.insight.machines.passport import Passport

__all__ = ["Way", "forecasts_for", "recommended", "scored"]

Way = tuple[str, str, int | None]
"""Engine, device and threads."""


def forecasts_for(work: Work, here: Iterable[Passport], elsewhere: Iterable[Passport] = ()) -> tuple[Forecast, ...]:
    """Return a forecast of each engine on each device, before anything runs.

    Parameters
    ----------
    work : Work
    here : iterable of Passport
        Of this machine's devices.
    elsewhere : iterable of Passport
        Of other machines, such as a GPU that this one lacks; those of one name are numbered.
    """
    found: list[Forecast] = []
    for passport in here:
        found += _of_passport(work, passport, None)
    passports = tuple(elsewhere)
    for passport, name in zip(passports, _told_apart([one.name for one in passports]), strict=True):
        found += _of_passport(work, passport, name)
    return tuple(found)


def recommended(forecasts: Iterable[Forecast], steps: int | None = None) -> Forecast | None:
    """Return the forecast with the shortest time of those that can run here; None where none can.

    Parameters
    ----------
    forecasts : iterable of Forecast
    steps : int, optional
        Steps of the run: preparing counts too, where they are given.
    """

    def duration_us(forecast: Forecast) -> float:
        assert forecast.forecast_us is not None, "only forecasts are compared"
        us = (forecast.measured_us or forecast.forecast_us).value
        return us if steps is None else us * steps + 1e6 * forecast.prepare_s

    possible = [
        forecast
        for forecast in forecasts
        if forecast.machine is None and forecast.unavailable is None and forecast.forecast_us is not None
    ]
    return min(possible, key=duration_us, default=None)


def scored(forecasts: Iterable[Forecast], measured: Mapping[Way, Interval]) -> tuple[Forecast, ...]:
    """Return the forecasts with what was measured here beside them."""
    return tuple(
        forecast
        if forecast.machine is not None
        else replace(forecast, measured_us=measured.get((forecast.engine, forecast.device, forecast.threads)))
        for forecast in forecasts
    )


def _told_apart(names: list[str]) -> list[str]:
    """Return the names; those that several bear with numbers, in their order."""
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _of_passport(work: Work, passport: Passport, machine: str | None) -> list[Forecast]:
    if passport.device != "cpu":
        return [Forecast("eager", passport.device, machine, None, forecast_eager_gpu(work, passport), None)]
    eager = [
        Forecast("eager", "cpu", machine, costs.threads, forecast_eager(work, passport, costs.threads), None)
        for costs in passport.torch
    ]
    return [_native(work, passport, machine), *eager]


def _native(work: Work, passport: Passport, machine: str | None) -> Forecast:
    refusal = work.refusal or (None if passport.native else "hotloop cannot compile there")
    if refusal is not None or passport.native is None:
        return Forecast("native", "cpu", machine, 1, None, None, unavailable=refusal)
    us, prepare_s = forecast_native(work, passport), native_prepare_s(work, passport.native)
    return Forecast("native", "cpu", machine, 1, us, None, prepare_s=prepare_s)
