"""What is told of changed levels, when and with whose consent: the policy of a sink, as data."""

from datetime import datetime, time
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Policy(BaseModel):
    """When a change of level is told.

    With hysteresis: another level than the one told is spoken of only where P(level) is `certainty` or more, up and down
    alike, and once it held for `hold_days`, or for `hold_evidence` further pieces of evidence (None: days alone count). The
    first level of a person is told as estimated. Neither is asked for what was taken back: that is told at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    certainty: float = Field(0.6, ge=0.5, lt=1)
    hold_days: float = Field(0, ge=0)
    hold_evidence: int | None = Field(None, ge=1)
    decreases: bool = True
    minimum_evidence_count: int = Field(1, ge=1)
    minimum_evidence_weight: float = Field(0, ge=0)
    consent: Literal["required", "assumed"] = "required"  # assumed: until it is withdrawn
    approval: bool = False
    quiet_hours: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"expected the name of a time zone, such as Europe/Berlin; found {name}")
        return name

    @property
    def holds(self) -> bool:
        """Whether a change has to hold before it is told."""
        return self.hold_days > 0 or self.hold_evidence is not None

    def is_quiet(self, now: datetime) -> bool:
        """Whether an aware moment falls into the quiet hours, which may reach over midnight."""
        if self.quiet_hours is None:
            return False
        begin, end = map(time.fromisoformat, self.quiet_hours.split("-"))
        moment = now.astimezone(ZoneInfo(self.time_zone)).time()
        return begin <= moment < end if begin <= end else moment >= begin or moment < end


EVERYTHING = Policy(certainty=0.5, consent="assumed")
