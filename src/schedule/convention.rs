//! Two conventions for momentum, two names: γ is the rate of the heavy ball, η the rate of the averaged form (Lemma A.2).

use super::Rates;
use crate::landscape::Coefficients;
use thiserror::Error;

/// η of SGDM (Def. 3.3), where m averages gradients.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct AveragedRate(pub f64);

/// γ of the heavy ball (Eq. 1) and of SGD-Standard (Def. A.1), where m adds gradients up.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct HeavyBallRate(pub f64);

impl AveragedRate {
    /// γ = η(1−β), for constant β.
    pub fn heavy_ball(self, one_minus_beta: f64) -> HeavyBallRate {
        HeavyBallRate(self.0 * one_minus_beta)
    }
}

impl HeavyBallRate {
    /// η = γ/(1−β), for constant β. `one_minus_beta` > 0.
    pub fn averaged(self, one_minus_beta: f64) -> AveragedRate {
        AveragedRate(self.0 / one_minus_beta)
    }
}

/// The dampening τ of SGD-Standard, 0 ≤ τ < 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dampening(f64);

impl Dampening {
    /// τ, if 0 ≤ τ < 1.
    pub fn new(tau: f64) -> Result<Dampening, ConversionError> {
        if (0.0..1.0).contains(&tau) {
            Ok(Dampening(tau))
        } else {
            Err(ConversionError::Dampening { value: tau })
        }
    }

    /// τ.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// One step of SGD-Standard (Def. A.1): m̃ ← μ m̃ + (1−τ) g, x ← x − γ m̃.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandardStep {
    /// μ_k ≥ 0.
    pub momentum: f64,
    /// τ_k < 1.
    pub dampening: f64,
    /// γ_k.
    pub rate: HeavyBallRate,
}

/// One step of SGDM (Def. 3.3): m ← β m + (1−β) g, x ← x − η m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragedStep {
    /// η_k.
    pub rate: AveragedRate,
    /// β_k.
    pub beta: f64,
    /// 1 − β_k, accurate however small.
    pub one_minus_beta: f64,
}

/// How the buffer m̃ of SGD-Standard starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferStart {
    /// From m̃_0, which the first step shrinks by μ_0: c_0 = 1, so m_0 = m̃_0.
    Given,
    /// At the first gradient, undamped (PyTorch): c_0 = 0 and c_1 = 1, so β_0 = 0 and m_0 does not matter. μ_0 and τ_0
    /// are not read.
    FirstGradient,
}

/// A step of SGD-Standard that is no step of SGDM.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum ConversionError {
    /// A dampening τ out of range.
    #[error("`dampening` is {value}, but must be at least 0 and less than 1")]
    Dampening {
        /// τ.
        value: f64,
    },
    /// A μ_k out of range.
    #[error("`momentum` of step {step} is {value}, but must be a finite number ≥ 0")]
    Momentum {
        /// k.
        step: usize,
        /// μ_k.
        value: f64,
    },
    /// A τ_k out of range.
    #[error("`dampening` of step {step} is {value}, but must be a finite number < 1")]
    StepDampening {
        /// k.
        step: usize,
        /// τ_k.
        value: f64,
    },
}

/// Lemma A.2: the steps of SGDM that give the same x as the given steps of SGD-Standard on the same gradients.
///
/// c_0 = 1 (or 0, then c_1 = 1, see [`BufferStart`]), c_{k+1} = μ_k c_k + (1−τ_k), η_k = γ_k c_{k+1},
/// β_k = μ_k c_k/c_{k+1}, 1 − β_k = (1−τ_k)/c_{k+1}. The momenta are related by m_k = m̃_k/c_k.
///
/// # Errors
/// μ_k < 0 or τ_k ≥ 1, which would make 1 − β_k leave (0, 1].
pub fn averaged_steps(
    steps: &[StandardStep],
    start: BufferStart,
) -> Result<Vec<AveragedStep>, ConversionError> {
    let mut c = 1.0;
    let mut out = Vec::with_capacity(steps.len());
    for (k, step) in steps.iter().enumerate() {
        let (kept, added) = match start {
            BufferStart::FirstGradient if k == 0 => (0.0, 1.0),
            _ => {
                if !(step.momentum >= 0.0 && step.momentum.is_finite()) {
                    return Err(ConversionError::Momentum {
                        step: k,
                        value: step.momentum,
                    });
                }
                if !(step.dampening < 1.0 && step.dampening.is_finite()) {
                    return Err(ConversionError::StepDampening {
                        step: k,
                        value: step.dampening,
                    });
                }
                (step.momentum * c, 1.0 - step.dampening)
            }
        };
        c = kept + added;
        out.push(AveragedStep {
            rate: AveragedRate(step.rate.0 * c),
            beta: kept / c,
            one_minus_beta: added / c,
        });
    }
    Ok(out)
}

/// The reverse of Lemma A.2 at step k, see [`RateKind::Standard`](super::RateKind::Standard). `before` is 1 − β_{k−1}.
pub(super) fn standard(
    k: u64,
    rates: Rates,
    before: Option<f64>,
    dampening: Dampening,
    pytorch_first_step: bool,
) -> Coefficients {
    if pytorch_first_step && k == 0 {
        return Coefficients::sgd(rates.eta);
    }
    let gain = 1.0 - dampening.0;
    // c_{k+1}/c_k, where c_{k+1} = (1−τ)/(1−β_k) but c_0 = 1, or c_1 = 1 with PyTorch's start.
    let ratio = match before {
        Some(before) if !(pytorch_first_step && k == 1) => before / rates.gain,
        _ => gain / rates.gain,
    };
    Coefficients {
        decay: (1.0 - rates.gain) * ratio,
        gain,
        rate: rates.eta * rates.gain / gain,
    }
}
