//! Whether a row of samples grows: robust against noise, against single peaks, and against a sawtooth.

/// How much of a growth is nothing, over all of the time that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) absolute: f64,
    /// A part of the median.
    pub(super) relative: f64,
}

/// What a row of samples says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drift {
    pub(super) first: f64,
    pub(super) median: f64,
    pub(super) last: f64,
    pub(super) highest: f64,
    /// From the beginning to the end of what is looked at, by the slope.
    pub(super) growth: f64,
    pub(super) is_upward: bool,
}

/// The first third is the warm-up: caches fill, pools grow, and the first records are forgotten.
const WARM_UP: usize = 3;

impl Drift {
    /// Looks at samples that were taken at equal distances.
    ///
    /// It is upward only if all of this comes together: the growth by the median of all slopes (Theil and Sen)
    /// is more than what is allowed; the samples rise more often than chance lets them (Mann and Kendall, three
    /// standard deviations); the last third is above the one before it, which it is not after a single step
    /// in the middle of a run; and the low ends of the thirds rise, which those of a sawtooth do not.
    pub(super) fn of(samples: &[f64], allowed: Allowance) -> Option<Self> {
        let samples = &samples[samples.len() / WARM_UP..];
        if samples.len() < 9 {
            return None;
        }
        let thirds: Vec<&[f64]> = samples.chunks(samples.len().div_ceil(3)).collect();
        let [first, second, last] = thirds[..] else {
            return None;
        };
        let middle = median(samples);
        let growth = slope(samples) * (samples.len() - 1) as f64;
        let most = allowed.relative.mul_add(middle, allowed.absolute);
        let goes_on = median(last) - median(second) > most / 3.0;
        let from_below = quantile(last, 0.1) - quantile(first, 0.1) > most / 2.0;
        Some(Self {
            first: median(first),
            median: middle,
            last: median(last),
            highest: samples.iter().copied().fold(0.0, f64::max),
            growth,
            is_upward: growth > most && goes_on && from_below && rises(samples) > 3.0,
        })
    }
}

fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() as f64 * part) as usize]
}

/// All pairs of samples, the earlier one first, as distance and difference.
fn pairs(samples: &[f64]) -> impl Iterator<Item = (f64, f64)> + '_ {
    let later = |(at, first): (usize, &'_ f64)| {
        let first = *first;
        let others = samples[at + 1..].iter().enumerate();
        others.map(move |(distance, second)| ((distance + 1) as f64, second - first))
    };
    samples.iter().enumerate().flat_map(later)
}

fn slope(samples: &[f64]) -> f64 {
    let slopes: Vec<f64> = pairs(samples)
        .map(|(distance, difference)| difference / distance)
        .collect();
    median(&slopes)
}

/// By how many standard deviations there are more rises than falls.
fn rises(samples: &[f64]) -> f64 {
    let more: f64 = pairs(samples)
        .filter(|(_, difference)| *difference != 0.0)
        .map(|(_, difference)| difference.signum())
        .sum();
    let n = samples.len() as f64;
    more / (n * (n - 1.0) * 2.0_f64.mul_add(n, 5.0) / 18.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowance = Allowance {
        absolute: 5.0,
        relative: 0.1,
    };

    fn is_upward(sample: impl Fn(usize) -> f64) -> bool {
        let samples: Vec<f64> = (0..120).map(sample).collect();
        Drift::of(&samples, ALLOWED).unwrap().is_upward
    }

    /// The same noise in every run.
    fn noise(n: usize) -> f64 {
        ((n * 7919) % 31) as f64 - 15.0
    }

    #[test]
    fn what_stays_or_falls_or_swings_is_no_drift() {
        assert!(!is_upward(|_| 100.0));
        assert!(!is_upward(noise));
        assert!(!is_upward(|n| 100.0 + noise(n)));
        assert!(!is_upward(|n| 300.0 - n as f64 + noise(n)));
        for teeth in [7, 20, 33] {
            assert!(!is_upward(|n| (100 + n % teeth * 5) as f64), "{teeth}");
        }
    }

    #[test]
    fn a_warm_up_a_peak_and_a_single_step_are_no_drift() {
        assert!(!is_upward(|n| 100.0 * (1.0 - (-(n as f64) / 8.0).exp())));
        assert!(!is_upward(|n| if n % 9 == 0 { 900.0 } else { 100.0 }));
        assert!(!is_upward(|n| if n > 60 { 160.0 } else { 100.0 }));
    }

    #[test]
    fn what_grows_is_a_drift_through_noise_and_a_sawtooth() {
        assert!(is_upward(|n| 100.0 + n as f64));
        assert!(is_upward(|n| 100.0 + n as f64 + noise(n)));
        assert!(is_upward(|n| 100.0 + n as f64 + (n % 20) as f64));
        assert!(is_upward(|n| n as f64));
    }

    #[test]
    fn a_growth_that_is_allowed_is_none_and_few_samples_say_nothing() {
        assert!(!is_upward(|n| 100.0 + n as f64 / 10.0));
        assert!(Drift::of(&[1.0; 11], ALLOWED).is_none());
    }
}
