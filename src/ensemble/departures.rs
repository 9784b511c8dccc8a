//! What the raw iterate x_k does around Φ(x_k) in Regime II (Sec. C.3): how far it is from Γ, how it fluctuates there, how large its
//! momentum is, and how fast Φ(x_k) moves.
//!
//! With P = ∂Φ(X), Q = I − P, H and Σ at X = Φ(x), z = x − Φ(x), λ the shape of the learning rate and σ the noise scale, z has the
//! stationary covariance ησ²λ 𝓛_H^{-1}(QΣQ) (ηΣ/(2H) where the two commute) and m that of (1−β)/(1+β) σ²Σ, whatever α < 2. Every
//! function has a value of an optimizer and one of X, which is the limit of its mean as η → 0.

use super::functions::index_of;
use std::fmt;

/// A function of x, Φ(x), m and the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Departure {
    /// ‖z‖² → 0 (Lemma C.21).
    Distance2,
    /// ‖z‖²/(ησ²) → ½λ tr(H†Σ).
    Fluctuation2,
    /// zᵢzⱼ/(ησ²) → λ 𝓛_H^{-1}(QΣQ)ᵢⱼ.
    Fluctuation(usize, usize),
    /// (L(x) − L(Φ(x)))/(ησ²) → ¼λ tr(QΣ).
    ExcessLoss,
    /// ‖∇L(x)‖²/(ησ²) → ½λ tr(HΣ) (Lemma C.20).
    NormalGradient2,
    /// ‖m‖²(1+β)/((1−β)σ²) → tr Σ (Lemmas C.8, C.16, C.22).
    Momentum2,
    /// mᵢmⱼ(1+β)/((1−β)σ²) → Σᵢⱼ (Lemma C.22).
    Momentum(usize, usize),
    /// ∇L(x)ᵀm (1+β)/((1−β)σ²) → 0 (Lemma C.23).
    GradientMomentum,
    /// ‖x − y‖² = (η̄β/(1−β))²‖m‖² → 0 for the coupled trajectory y (Lemma C.18).
    Lag2,
    /// ‖∂Φ(x)∇L(x)‖²/(ησ²)² = 0 (Lemma C.1), by differences of Φ.
    ProjectedGradient2,
    /// ‖P∇L(x)‖²/(ησ²)² against 0: the mistake of P = ∂Φ(Φ(x)) in place of ∂Φ(x), a negative control.
    TangentialGradient2,
    /// (Φ(x_t) − Φ(x_s))ᵢ/(t − s) with the look before at s, against that of X.
    Velocity(usize),
    /// ‖Φ(x_t) − Φ(x_s)‖²/(t − s), against that of X.
    Velocity2,
}

impl Departure {
    /// Those without an index.
    const NAMED: [(&'static str, Departure); 10] = [
        ("distance2", Departure::Distance2),
        ("fluctuation2", Departure::Fluctuation2),
        ("excess_loss", Departure::ExcessLoss),
        ("normal_gradient2", Departure::NormalGradient2),
        ("momentum2", Departure::Momentum2),
        ("gradient_momentum", Departure::GradientMomentum),
        ("lag2", Departure::Lag2),
        ("projected_gradient2", Departure::ProjectedGradient2),
        ("tangential_gradient2", Departure::TangentialGradient2),
        ("projected_velocity2", Departure::Velocity2),
    ];

    /// By its name, without spaces.
    pub(super) fn parse(text: &str) -> Option<Departure> {
        if let Some((_, h)) = Departure::NAMED.iter().find(|(name, _)| *name == text) {
            return Some(*h);
        }
        if let Some((a, b)) = text.split_once('*') {
            let pair = |name: &str| Some((index_of(a, name)?, index_of(b, name)?));
            let fluctuation = pair("fluctuation").map(|(i, j)| Departure::Fluctuation(i, j));
            return fluctuation
                .or_else(|| pair("momentum").map(|(i, j)| Departure::Momentum(i, j)));
        }
        index_of(text, "projected_velocity").map(Departure::Velocity)
    }

    /// The largest index.
    pub fn coordinate(self) -> Option<usize> {
        match self {
            Departure::Fluctuation(i, j) | Departure::Momentum(i, j) => Some(i.max(j)),
            Departure::Velocity(i) => Some(i),
            _ => None,
        }
    }

    /// Whether it is a function of m.
    pub fn of_momentum(self) -> bool {
        matches!(
            self,
            Departure::Momentum2
                | Departure::Momentum(..)
                | Departure::GradientMomentum
                | Departure::Lag2
        )
    }

    /// Whether it is a function of the look before.
    pub fn of_velocity(self) -> bool {
        matches!(self, Departure::Velocity(_) | Departure::Velocity2)
    }

    /// Whether it is a squared length in the units of x, to be measured by how far paths go.
    pub fn is_distance(self) -> bool {
        matches!(self, Departure::Distance2 | Departure::Lag2)
    }

    /// Whether the distance to Γ can be drawn from it.
    pub fn shows_distance(self) -> bool {
        matches!(self, Departure::Distance2 | Departure::Fluctuation2)
    }

    /// Whether it is in units of σ, and needs noise.
    pub fn needs_noise(self) -> bool {
        !self.is_distance() && !self.of_velocity()
    }

    /// The term of the same balance that vanishing terms are measured by.
    pub fn yardstick(self) -> Option<Departure> {
        match self {
            Departure::ProjectedGradient2 => Some(Departure::TangentialGradient2),
            Departure::GradientMomentum => Some(Departure::Momentum2),
            _ => None,
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Departure::Fluctuation(i, j) => {
                write!(f, "fluctuation[{}]*fluctuation[{}]", i + 1, j + 1)
            }
            Departure::Momentum(i, j) => write!(f, "momentum[{}]*momentum[{}]", i + 1, j + 1),
            Departure::Velocity(i) => write!(f, "projected_velocity[{}]", i + 1),
            h => {
                let named = Departure::NAMED.iter().find(|(_, d)| d == h);
                write!(f, "{}", named.map_or("", |(name, _)| name))
            }
        }
    }
}

/// The departures that are asked for, and what they need to know of the save steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Departures {
    /// Each once.
    pub functions: Vec<Departure>,
    /// Slow time at the save steps.
    pub times: Vec<f64>,
    /// λ at the save steps.
    pub rates: Vec<f64>,
}

impl Departures {
    /// Whether any of the functions asks for it.
    pub fn any(&self, f: impl Fn(Departure) -> bool) -> bool {
        self.functions.iter().any(|h| f(*h))
    }
}
