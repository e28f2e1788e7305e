//! A value that is bound to a parameter of a statement.

/// A value of a parameter. Truth is an integer: 0 or 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parameter {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Parameter {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Parameter {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<bool> for Parameter {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Parameter {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl<T: Into<Self>> From<Option<T>> for Parameter {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'v, T> From<&'v Option<T>> for Parameter
where
    &'v T: Into<Self>,
{
    fn from(value: &'v Option<T>) -> Self {
        value.as_ref().into()
    }
}
