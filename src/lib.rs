//! Numerical checks of the theory of SGD with momentum.
//!
//! The paper — *The Marginal Value of Momentum for Small Learning Rate SGD* (Wang, Malladi, Wang, Lyu, Li) — says that SGD
//! with momentum stays as close to SGD, over O(1/η) steps, as the noise lets anybody see. This crate runs ensembles of
//! both, and the limiting SDE, on one stream of noise, and gives a verdict with error bars.
//!
//! # A map of the paper
//!
//! | in the paper | here |
//! |---|---|
//! | Def. 3.1, noisy gradient oracle with scale | [`oracle`] |
//! | Def. 3.2, SGD; Def. 3.3, SGDM; Def. A.1, SGD-Standard and Eq. (1), heavy ball | [`ensemble::Dynamics::Discrete`] with [`schedule::RateKind`] |
//! | Def. 4.1, schedules scaled by η with index α | [`schedule::ScheduleFamily`] |
//! | Assumption 4.2, initial momentum | [`ensemble::InitialMomentum`] |
//! | Def. 4.4, weak approximation; Theorem 4.5 | [`theorems::weak_approximation`] |
//! | Eq. (8), averaged learning rates | [`schedule::Schedule::averaged_rate`] |
//! | Eqs. (9)–(11), coupled trajectory | [`ensemble::Dynamics::Coupled`], [`ensemble::Dynamics::CoupledSteps`] |
//! | Sec. 4.1, warm-up; Lemma 3.4 and Sec. A.2, descent lemma | [`ensemble::Way`], [`theorems::everywhere`] |
//! | Lemmas B.5–B.7 and B.11, momentum and coupled trajectory | [`ensemble::MomentumFunction`] |
//! | every item, with its scenarios | [`paper`], `docs/paper.md` |
//! | Eq. (51), limiting SDE | [`ensemble::Dynamics::LimitingSde`] |
//! | Eqs. (52)–(53), α = 1; the undamped limit at α > 1 | [`ensemble::Dynamics::InertialSde`], [`schedule::RateKind::SgdmInertialClock`] |
//! | Def. 6.1, SVAG | [`oracle::Svag`] |
//! | Lemma A.2, conversion between conventions | [`schedule::averaged_steps`], [`schedule::RateKind::Standard`] |
//! | Sec. 5, gradient-flow projection Φ, ∂Φ, ∂²Φ\[Σ\], coefficients of Eq. (4) | [`projection`] |
//! | laws of Eq. (4) in closed form | [`slow_law`] |
//! | Eq. (4) without diffusion (label noise), as a flow on Γ | [`slow_flow`] |
//! | between the regimes: (51) and (4) on the clock kη^{1+s} | [`clocks::SlowClock`], [`theorems::slow_limit::SlowPair`] |
//! | exact moments on quadratic losses | [`exact_moments`] |
//!
//! # From a scenario file to a verdict
//!
//! [`scenario::Scenario::read`] checks a TOML file; [`scenario::Scenario::execute`] samples until every verdict is reached or
//! the budget is spent, and returns a [`report::result::ScenarioResult`], from which all tables and figures
//! ([`report::plots`]) are drawn.
//!
//! # From Rust
//!
//! A loss is a closure, [`landscape::Expression::from_fn`], or a text, [`landscape::Expression::of_loss`], with exact derivatives;
//! [`expression`] says what may be written. Or it is a [`landscape::Formula`] with derivatives written by hand, once for every number
//! type, which [`landscape::check_derivatives`] checks. An [`ensemble::Ensemble`] runs it eight paths to a register;
//! `examples/own_landscape.rs` does it in a page.
//!
#![doc = include_str!("../NOTATION.md")]
#![warn(missing_docs)]

pub mod cli;
pub mod clocks;
pub mod ensemble;
pub mod exact_moments;
pub mod expression;
pub mod landscape;
pub mod oracle;
pub mod paper;
pub mod projection;
mod quadrature;
pub mod random;
pub mod real;
pub mod region;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod slow_flow;
pub mod slow_law;
pub mod statistics;
pub mod theorems;
