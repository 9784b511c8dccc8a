//! The sums behind the averaged rates of Eq. (8): S_k = η_k + β_{k+1} S_{k+1}, η̄_k = (1−β_k) S_k.
//!
//! The recursion runs backward but steps are wanted forward. One checkpoint every √N steps, and one block of √N steps
//! recomputed from the checkpoint after it, give every S_k twice computed and √N numbers stored.
//!
//! S is about η/(1−β) and its increments about η, so rounding each sum would cost a relative error 2⁻⁵³/(1−β). The sums
//! are therefore carried in two parts, which leaves η̄_k exact to a few roundings.

use super::{Rates, Schedule};

/// S_k as an unevaluated sum of two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// S of a schedule that stays as it is: η/(1−β).
    pub(super) fn forever(rates: Rates) -> Sum {
        Sum {
            high: rates.eta / rates.gain,
            low: 0.0,
        }
    }

    /// S_k from S_{k+1}, η_k and 1 − β_{k+1}: S + (η_k − (1−β_{k+1}) S).
    #[inline]
    fn before(self, eta: f64, next_gain: f64) -> Sum {
        let add = (eta - next_gain * self.high) - next_gain * self.low + self.low;
        let high = self.high + add;
        let kept = high - self.high;
        Sum {
            high,
            low: (self.high - (high - kept)) + (add - kept),
        }
    }

    /// S·factor.
    #[inline]
    pub(super) fn times(self, factor: f64) -> f64 {
        self.high * factor + self.low * factor
    }
}

/// S at every multiple of `spacing`.
#[derive(Debug)]
pub(super) struct Checkpoints {
    spacing: u64,
    /// `sums[j]` is S at step (j+1)·`spacing`.
    sums: Vec<Sum>,
}

impl Checkpoints {
    fn new(schedule: &Schedule) -> Checkpoints {
        let (settled, _) = schedule.settles();
        let covered = settled.max(schedule.steps.0 + 1);
        let spacing = ((covered as f64).sqrt().ceil() as u64).max(32);
        let blocks = covered.div_ceil(spacing);
        let mut sum = schedule.tail(blocks * spacing);
        let mut sums = vec![sum];
        let mut next_gain = schedule.rates(blocks * spacing).gain;
        for k in (spacing..blocks * spacing).rev() {
            let Rates { eta, gain } = schedule.rates(k);
            sum = sum.before(eta, next_gain);
            next_gain = gain;
            if k % spacing == 0 {
                sums.push(sum);
            }
        }
        sums.reverse();
        Checkpoints { spacing, sums }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }
}

impl Schedule {
    pub(super) fn checkpoints(&self) -> &Checkpoints {
        self.checkpoints.get_or_init(|| Checkpoints::new(self))
    }

    /// From which step on both shapes are constant (`false`) or periodic (`true`).
    fn settles(&self) -> (u64, bool) {
        let (a, p) = self.family.learning_rate.settles(self.eta, self.horizon);
        let (b, q) = self.family.momentum.settles(self.eta, self.horizon);
        (a.max(b), p || q)
    }

    /// S_k for a step at which the schedule has settled.
    fn tail(&self, k: u64) -> Sum {
        let (_, periodic) = self.settles();
        if !periodic {
            return Sum::forever(self.rates(k));
        }
        // Errors shrink by Πβ ≤ exp(−Σ(1−β)) on the way back from `end`: 45 makes any starting value good enough.
        let (mut end, mut shrunk) = (k, 0.0);
        while shrunk < 45.0 {
            end += 1;
            shrunk += self.rates(end).gain;
        }
        let mut after = self.rates(end);
        let mut sum = Sum::forever(after);
        for k in (k..end).rev() {
            let rates = self.rates(k);
            sum = sum.before(rates.eta, after.gain);
            after = rates;
        }
        sum
    }

    /// S at the end of the block that holds step `k`, and that step.
    fn block_end(&self, k: u64) -> (u64, Sum) {
        let checkpoints = self.checkpoints();
        let j = k / checkpoints.spacing;
        let end = (j + 1) * checkpoints.spacing;
        match checkpoints.sums.get(j as usize) {
            Some(&sum) => (end, sum),
            None => (end, self.tail(end)),
        }
    }

    /// S_k at any step.
    pub(super) fn sum(&self, k: u64) -> Sum {
        let (end, mut sum) = self.block_end(k);
        let mut next_gain = self.rates(end).gain;
        for k in (k..end).rev() {
            let Rates { eta, gain } = self.rates(k);
            sum = sum.before(eta, next_gain);
            next_gain = gain;
        }
        sum
    }

    /// Replaces `block` by the block that holds step `k` and returns its first step.
    pub(super) fn load_block(&self, k: u64, block: &mut Vec<(Rates, Sum)>) -> u64 {
        let (end, mut sum) = self.block_end(k);
        let start = end - self.checkpoints().spacing;
        let mut next_gain = self.rates(end).gain;
        block.clear();
        block.reserve((end - start) as usize);
        for k in (start..end).rev() {
            let rates = self.rates(k);
            sum = sum.before(rates.eta, next_gain);
            next_gain = rates.gain;
            block.push((rates, sum));
        }
        block.reverse();
        start
    }
}
