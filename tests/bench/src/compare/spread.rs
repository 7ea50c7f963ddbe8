use serde::Serialize;

/// A figure over the rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// Of at least one value; of none it is not a number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            length if length % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        let bound = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Spread { median, lowest: bound(values.first()), highest: bound(values.last()) }
    }

    /// `median [lowest - highest]`, with as many decimals as three digits need.
    pub(crate) fn text(&self) -> String {
        let Spread { median, lowest, highest } = self;
        let decimals = match median.abs() {
            size if size < 10.0 => 2,
            size if size < 100.0 => 1,
            _ => 0,
        };
        format!("{median:.decimals$} [{lowest:.decimals$} - {highest:.decimals$}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_is_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).text(), "3.00 [1.00 - 9.00]");
        assert_eq!(Spread::of([400.0, 1.0, 900.0]).text(), "400 [1 - 900]");
    }
}
