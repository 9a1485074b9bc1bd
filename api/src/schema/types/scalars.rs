//! Values that are more than text.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use domain::Time;
use projections::AsOf;
use reconcilers::{Clock as _, WallClock};

use crate::fault::Fault;
use crate::plane::Plane;

/// A place in the total order of the log: a number, written as text. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(pub(crate) journal::Position);

impl Position {
    pub(crate) const fn new(number: u64) -> Self {
        Self(journal::Position::new(number))
    }
}

/// A place in the total order of the log: a number, written as text. Later is greater.
#[Scalar]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = if let Value::String(text) = &value {
            text.parse().ok()
        } else if let Value::Number(number) = &value {
            number.as_u64()
        } else {
            None
        };
        number
            .map(Self::new)
            .ok_or_else(|| InputValueError::custom("a position is a number, such as \"42\""))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A moment in RFC 3339, such as 2026-11-21T12:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) Time);

/// A moment in RFC 3339, such as 2026-11-21T12:00:00Z.
#[Scalar]
impl ScalarType for Timestamp {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        text.parse().map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A moment of the past: a position of the log, or a time in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(AsOf);

/// How far the clock of a client may be ahead of the server's, in microseconds.
const AHEAD_MAX: i64 = 60_000_000;

impl Moment {
    /// The moment itself, if one is meant.
    ///
    /// # Errors
    /// Nothing can be said of what is yet to come, nor of what was before the log began.
    pub(crate) async fn past(moment: Option<Self>, plane: &Plane) -> Result<Option<AsOf>, Fault> {
        let Some(Self(moment)) = moment else { return Ok(None) };
        let now = WallClock.now();
        match moment {
            AsOf::Time(time) if time > now.plus_micros(AHEAD_MAX) => {
                return Err(Fault::bad_input(format!("{time} is in the future: it is {now} now")));
            }
            AsOf::Position(position) if position > plane.views.position() => {
                let head = plane.probed.executor.journal().head().await?;
                if position > head {
                    let message = format!("the log ends at position {head}, before {position}");
                    return Err(Fault::bad_input(message));
                }
            }
            AsOf::Time(_) | AsOf::Position(_) => {}
        }
        if let Some((position, time)) = plane.views.beginning().await? {
            let before = match moment {
                AsOf::Time(wanted) => (wanted < time).then(|| wanted.to_string()),
                AsOf::Position(wanted) => (wanted < position).then(|| format!("position {wanted}")),
            };
            if let Some(wanted) = before {
                let message =
                    format!("the log begins at {time} (position {position}), after {wanted}");
                return Err(Fault::bad_input(message));
            }
        }
        Ok(Some(moment))
    }
}

/// A moment of the past: a position of the log, or a time in RFC 3339.
#[Scalar]
impl ScalarType for Moment {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = if let Value::String(text) = &value {
            text.clone()
        } else if let Value::Number(number) = &value {
            number.to_string()
        } else {
            return Err(InputValueError::expected_type(value));
        };
        if let Ok(number) = text.parse() {
            return Ok(Self(AsOf::Position(journal::Position::new(number))));
        }
        text.parse().map(|time| Self(AsOf::Time(time))).map_err(|_| {
            InputValueError::custom(
                "a moment is a position, such as \"42\", or a time, such as 2026-11-21T12:00:00Z",
            )
        })
    }

    fn to_value(&self) -> Value {
        Value::String(match self.0 {
            AsOf::Position(position) => position.to_string(),
            AsOf::Time(time) => time.to_string(),
        })
    }
}
