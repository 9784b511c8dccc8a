//! Regime II inside the lock step: the slow SDE (4) on Γ, driven by the innovations that the optimizers consume.
//!
//! One slow step covers many optimizer steps: W = −η Σ ξ_k, so that an increment over n steps is minus η times the sum of
//! their innovations (theory: Sec. 5). For large η it is the other way round, and one optimizer step is bridged.
//! Between the regimes ([`SlowClock`]) W = −ησ Σ ξ_k / σ_s, with σ_s = ησ/√(η^{1+s}) the noise scale of the slow SDE.

use super::departures::Departures;
use crate::clocks::SlowClock;
use crate::projection::{Settings, Tolerance};

/// How a slow process advances by a time h from X ∈ Γ, with ΔW the increment of its Brownian path and B = Σ^{1/2}(X).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlowScheme {
    /// Scheme (ii): X ← Φ(X + λBΔW). The second-order expansion of Φ is the drift.
    Projected,
    /// Scheme (i): X ← Φ(X + λPBΔW + ½λ²∂²Φ\[Σ\]h).
    EulerMaruyama,
    /// Negative control, the drift dropped: X ← Φ(X + λPBΔW).
    WithoutDrift,
    /// Negative control, λ in place of λ² in the drift of scheme (i).
    LinearRate,
    /// Negative control: scheme (ii) with the nearest point of Γ in place of Φ.
    Nearest,
}

/// The step of the slow processes; they run at it and at twice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowGrid {
    /// n: optimizer steps in a fine slow step; 1 where `substeps` > 1.
    pub stride: u64,
    /// r: fine slow steps in an optimizer step, 1 or even.
    pub substeps: usize,
}

impl SlowGrid {
    /// The grid with a fine step near `step` (slow time, in which an optimizer step takes `unit`) and a
    /// [`period`](SlowGrid::period) of at most `interval` optimizer steps, as good a divisor of `whole` steps as there is near
    /// the wanted one.
    pub fn near(step: f64, unit: f64, interval: f64, whole: f64) -> SlowGrid {
        let ratio = step / unit;
        let most = (0.5 * interval).floor();
        if ratio < 1.0 || most < 1.0 {
            return SlowGrid {
                stride: 1,
                // A rounding error must not double them.
                substeps: 2 * (0.5 / ratio - 1e-9).ceil().clamp(1.0, 512.0) as usize,
            };
        }
        let wanted = ratio.round().min(most) as u64;
        let misfit = |n: u64| {
            let periods = whole / (2 * n) as f64;
            (periods - periods.round()).abs() * (2 * n) as f64
        };
        let strides = wanted - wanted / 4..=(wanted + wanted / 4).min(most as u64);
        let better = |a: &u64, b: &u64| {
            let nearer = a.abs_diff(wanted).cmp(&b.abs_diff(wanted));
            misfit(*a).total_cmp(&misfit(*b)).then(nearer)
        };
        SlowGrid {
            stride: strides.min_by(better).unwrap_or(wanted),
            substeps: 1,
        }
    }

    /// The optimizer steps after which fine and coarse slow steps meet: looks are at multiples of it.
    pub fn period(self) -> u64 {
        if self.substeps > 1 {
            1
        } else {
            2 * self.stride
        }
    }

    /// The fine step in slow time, in which an optimizer step takes `unit`.
    pub fn step(self, unit: f64) -> f64 {
        unit * self.stride as f64 / self.substeps as f64
    }
}

/// What Regime II needs beside the processes.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowRegime {
    /// What slow time is.
    pub clock: SlowClock,
    /// The step of the slow processes.
    pub grid: SlowGrid,
    /// Φ(x_0): where the slow processes start.
    pub landing: Vec<f64>,
    /// How Φ is computed at the looks.
    pub projection: Settings,
    /// Whether observers see Φ(x_k), or x_k itself.
    pub landed: bool,
    /// Save steps, by index and rising, that are early looks: not evenly spaced with the others, and left out of statistics of whole
    /// paths. Before the first slow step the slow processes are seen at Φ(x_0).
    pub early: Vec<usize>,
    /// What is computed of raw iterates.
    pub departures: Departures,
}

/// Accuracy of the drift that the slow steps must keep, in units of ‖x‖ + 1 a unit of slow time.
const DRIFT_ACCURACY: f64 = 1e-4;

/// Share of ησ² to which differences of Φ are computed for ∂Φ.
const DIFFERENCE_ACCURACY: f64 = 1e-5;

impl SlowRegime {
    /// How Φ is computed in a slow step. Its errors add up like a drift of size tolerance/h, so that the tolerance is also at most
    /// 10⁻⁴ h.
    pub fn step_projection(&self, eta: f64) -> Settings {
        self.within(DRIFT_ACCURACY * self.grid.step(self.clock.unit(eta)))
    }

    /// How Φ is computed for the difference quotient that is ∂Φ(x)∇L(x): in a step of the size of x − Φ(x) its errors count like
    /// tolerance·‖H‖, which must be small beside ησ².
    pub fn difference_projection(&self, unit: f64) -> Settings {
        self.within(DIFFERENCE_ACCURACY * unit)
    }

    /// The settings with a tolerance of at most `most`.
    fn within(&self, most: f64) -> Settings {
        let given = self.projection.tolerance;
        Settings {
            tolerance: Tolerance {
                relative: given.relative.min(most).max(Tolerance::LEAST),
                absolute: given.absolute.min(most).max(Tolerance::LEAST),
            },
            ..self.projection.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_fit_their_intervals() {
        for eta in [0.1, 0.05, 0.0123, 0.004] {
            for step in [1e-3, 5e-3, 0.07] {
                for interval in [1.0, 2.5, 3.0, 7.3, 97.0, 12_345.6] {
                    let grid = SlowGrid::near(step, eta * eta, interval, 8.0 * interval);
                    assert!(grid.period() as f64 <= interval, "{grid:?}");
                    if grid.substeps == 1 {
                        assert!(grid.step(eta * eta) <= 1.75 * step, "{grid:?}");
                    } else {
                        assert_eq!((grid.substeps % 2, grid.stride), (0, 1));
                    }
                }
            }
        }
        // 0.001/0.0125² = 6.4, but 5 divides 640 steps.
        assert_eq!(
            SlowGrid::near(0.001, 0.0125 * 0.0125, 160.0, 640.0).stride,
            5
        );
        assert_eq!(SlowGrid::near(0.005, 0.1 * 0.1, 3.0, 50.0).substeps, 2);
    }
}
