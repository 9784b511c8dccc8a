//! What the paper says, item by item: its definitions, assumptions, lemmas, theorems and the equations that are computed.
//!
//! A scenario names the items that it tests (`paper = ["Lemma A.2"]`); `docs/paper.md` and the report put the two side by side.

/// An item of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, e.g. `Lemma A.2`.
    pub name: &'static str,
    /// What it says, in one line.
    pub statement: &'static str,
    /// Where it is computed: source files.
    pub code: &'static [&'static str],
    /// What tests it apart from scenarios: files of `cargo test`.
    pub tests: &'static [&'static str],
    /// Why neither a scenario nor a test is about it, where that is so.
    pub reason: &'static str,
}

const fn item(
    name: &'static str,
    statement: &'static str,
    code: &'static [&'static str],
    tests: &'static [&'static str],
) -> Item {
    Item {
        name,
        statement,
        code,
        tests,
        reason: "",
    }
}

/// An item that is not tested by itself, for this reason; a scenario may be about it all the same.
const fn proof(
    name: &'static str,
    statement: &'static str,
    code: &'static [&'static str],
    reason: &'static str,
) -> Item {
    Item {
        reason,
        ..item(name, statement, code, &[])
    }
}

const SCHEDULE: &str = "src/schedule/mod.rs";
const AVERAGED: &str = "src/schedule/averaged.rs";
const CONVENTION: &str = "src/schedule/convention.rs";
const SCHEDULE_TESTS: &str = "src/schedule/tests.rs";
const TURBULENCE: &str = "src/ensemble/turbulence.rs";
const BLOCK: &str = "src/ensemble/block.rs";
const WEAK: &str = "src/theorems/weak_approximation.rs";
const SLOW: &str = "src/theorems/slow_limit.rs";
const ENGINE: &str = "tests/engine.rs";
const DEPARTURES: &str = "src/ensemble/departures.rs";
const DEPARTURE_TESTS: &str = "tests/slow_regime/departures.rs";
const MOMENTUM: &str = "src/ensemble/momentum.rs";
const EXACT: &str = "src/exact_moments/mod.rs";
const EXACT_TESTS: &str = "src/exact_moments/tests.rs";
const INEQUALITIES: &str = "tests/inequalities.rs";

/// All items, in the order of the paper: first the text, then the appendix.
pub const ITEMS: &[Item] = &[
    item(
        "Eq. (1)",
        "heavy ball: m_k = β m_{k−1} + g_k, x_k = x_{k−1} − γ m_k",
        &[CONVENTION],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Def. 3.1",
        "noisy gradient oracle with scale: g = ∇L(x) + σv, E v = 0, Cov v = Σ(x)",
        &["src/oracle/mod.rs"],
        &[ENGINE],
    ),
    item(
        "Def. 3.2",
        "SGD: z_{k+1} = z_k − η_k g_k",
        &[BLOCK],
        &[ENGINE],
    ),
    item(
        "Def. 3.3",
        "SGDM: m_{k+1} = β_k m_k + (1−β_k) g_k, x_{k+1} = x_k − η_k m_{k+1}",
        &[BLOCK],
        &[ENGINE],
    ),
    item(
        "Lemma 3.4",
        "descent lemma: E[L(x⁺)|x] − L = −η‖∇L‖² + ½η²σ² tr(HΣ) + ½η² ∇LᵀH∇L + higher order",
        &[TURBULENCE],
        &[ENGINE],
    ),
    item(
        "Sec. 4.1",
        "warm-up: momentum reduces the variance of a step by (1−β)/(1+β), that of the end point only by O(1) steps",
        &[TURBULENCE],
        &[ENGINE],
    ),
    item(
        "Def. 4.1",
        "schedule scaled by η with index α: η_k ≤ η·η_max, λ_min η^α ≤ 1−β_k ≤ λ_max η^α",
        &[SCHEDULE],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Assumption 4.2",
        "the moments of m_0 are bounded",
        &["src/ensemble/mod.rs"],
        &[ENGINE],
    ),
    item(
        "Assumption 4.3",
        "∇L and Σ^{1/2} Lipschitz and smooth, all moments of the noise bounded",
        &["src/oracle/factor.rs"],
        &["tests/landscapes/main.rs"],
    ),
    item(
        "Def. 4.4",
        "weak approximation of order p: max_k |E h(x_k) − E h(y_k)| ≤ C η^p",
        &[WEAK],
        &[WEAK],
    ),
    item(
        "Theorem 4.5",
        "SGDM at (η_k, β_k) and SGD at η̄_k are weak approximations of order (1−α)/2 over O(1/η) steps",
        &[WEAK],
        &[WEAK],
    ),
    item(
        "Eq. (4)",
        "slow SDE on Γ: dX = λ_t ∂Φ(X) Σ^{1/2}(X) dW + ½λ_t² ∂²Φ(X)[Σ(X)] dt",
        &["src/ensemble/slow.rs", "src/projection/tangent.rs"],
        &["tests/slow_regime/laws.rs"],
    ),
    item(
        "Assumption 5.1",
        "Γ is a manifold of minimizers on which the Hessian has constant rank",
        &["src/projection/tangent.rs"],
        &["tests/landscapes/manifolds.rs"],
    ),
    item(
        "Assumption 5.2",
        "the gradient flow converges to Γ: Φ(x) is defined",
        &["src/projection/flow.rs"],
        &["tests/projection/main.rs"],
    ),
    item(
        "Assumption 5.3",
        "the learning rates converge to a function of slow time",
        &[SCHEDULE],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Assumption 5.4",
        "Σ|η_k − η_{k−1}| ≤ Qη and Σ|β_k − β_{k−1}| ≤ Qη^α",
        &[SCHEDULE],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Theorem 5.5",
        "SGD and SGDM converge in distribution to the slow SDE (4) over O(1/η²) steps",
        &[SLOW],
        &["tests/slow_regime/main.rs"],
    ),
    item(
        "Between the regimes",
        "beyond the paper: at times η^{−1−s} with σ = η^{-(1−s)/2}, 0 < s < 1, SGD, SGDM and (51) follow (4) up to η^s; (51) is nearer to \
         SGD up to s = 1, to SGDM that falls onto Γ up to s = 1 − α",
        &[SLOW, "src/clocks.rs"],
        &["tests/slow_regime/between.rs"],
    ),
    item(
        "Def. 6.1",
        "SVAG: two draws combined raise the noise scale to √ℓ σ and shrink the curvature-induced term by ℓ",
        &["src/oracle/svag.rs"],
        &["src/oracle/svag.rs", ENGINE],
    ),
    item(
        "Def. A.1",
        "SGD-Standard: m̃_{k+1} = μ_k m̃_k + (1−τ_k) g_k, x_{k+1} = x_k − γ_k m̃_{k+1}",
        &[CONVENTION],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Lemma A.2",
        "SGD-Standard is SGDM with η_k = γ_k c_{k+1}, β_k = μ_k c_k/c_{k+1}, c_{k+1} = μ_k c_k + (1−τ_k)",
        &[CONVENTION],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Sec. A.2",
        "descent lemma with momentum, u = βm + (1−β)∇L: −η∇Lᵀu + ½η²(1−β)²σ² tr(HΣ) + ½η² uᵀHu",
        &[TURBULENCE],
        &[ENGINE],
    ),
    item(
        "Lemma B.1",
        "m_k = Π_{r<k} β_r m_0 + Σ_{s<k} (1−β_s) Π_{s<r<k} β_r g_s, and x_k = x_0 − Σ_{τ<k} η_τ m_{τ+1} with these m",
        &[AVERAGED],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Eq. (8)",
        "averaged learning rates η̄_k = (1−β_k) Σ_{τ≥k} η_τ Π_{r=k+1}^{τ} β_r",
        &[AVERAGED],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Eqs. (9)–(11)",
        "coupled trajectory y_k = x_k − (η̄_k β_k/(1−β_k)) m_k; y_{k+1} = y_k − η̄_k g_k",
        &[BLOCK, SCHEDULE],
        &[ENGINE],
    ),
    item(
        "Lemma B.2",
        "the averaged rates are of the size of the rates: η̄_k ≤ η·η_max·λ_max/λ_min",
        &[AVERAGED],
        &[SCHEDULE_TESTS],
    ),
    item(
        "Theorem B.3",
        "step 1: x and y are weak approximations of order (1−α)/2",
        &[WEAK],
        &[],
    ),
    item(
        "Lemma B.4",
        "Grönwall for sums: f_n ≤ g_n + Σ_{s<n} k_s f_s gives f_n ≤ g_n + Σ_{s<n} k_s g_s exp(Σ_{s<r<n} k_r)",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma B.5",
        "the momentum is bounded by what it has seen: E‖m_k‖² is of size (1−β)/(1+β) σ² tr Σ + O(1), O(η^{α−1}) at σ = η^{-1/2}",
        &[MOMENTUM, EXACT],
        &[ENGINE, EXACT_TESTS],
    ),
    item(
        "Lemma B.6",
        "‖∇L(x_k) − ∇L(y_k)‖ is O(η^{(1−α)/2}) in the mean over O(1/η) steps; its square has the scaled limit tr(H²Σ)",
        &[MOMENTUM, EXACT],
        &[ENGINE],
    ),
    item(
        "Lemma B.7",
        "‖x_k − y_k‖ = (η̄_k β_k/(1−β_k)) ‖m_k‖ is O(η^{(1−α)/2}) in the mean; η^{α−1}E‖x_k − y_k‖² → λ_t² tr Σ/(2 lim η^{-α}(1−β_k))",
        &[MOMENTUM, EXACT],
        &[ENGINE],
    ),
    item(
        "Lemma B.8",
        "all moments of x_k and y_k are bounded over O(1/η) steps",
        &[WEAK],
        &[],
    ),
    item(
        "Def. B.9",
        "one step of the coupled trajectory from y: Δ = −η̄_k g, the gradient drawn at x = y + (η̄_k β_k/(1−β_k)) m",
        &[BLOCK, EXACT],
        &[ENGINE],
    ),
    item(
        "Def. B.10",
        "one step of SGD from the same place: Δ̃ = −η̄_k g, the gradient drawn at y",
        &[BLOCK, EXACT],
        &[ENGINE],
    ),
    item(
        "Lemma B.11",
        "the moments of the two steps are within η·O(η^{(1−α)/2}) of each other; the first differ by −η̄_k E(∇L(x) − ∇L(y))",
        &[MOMENTUM, EXACT],
        &[ENGINE],
    ),
    item(
        "Lemma B.12",
        "E‖Δ‖^{2m} and E‖Δ̃‖^{2m} are O(η^m) at σ = η^{-1/2}",
        &[TURBULENCE, EXACT],
        &[ENGINE],
    ),
    item(
        "Lemma B.13",
        "steps whose moments up to the third are close and whose fourth moments are small change E u(x + Δ) by close amounts",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Theorem B.14",
        "step 2: y and z are weak approximations of order (1−α)/2",
        &[WEAK],
        &[],
    ),
    item(
        "Eq. (51)",
        "limiting SDE: dX = −λ_t ∇L(X) dt + λ_t Σ^{1/2}(X) dW",
        &[BLOCK, "src/exact_moments/limiting.rs"],
        &[ENGINE],
    ),
    item(
        "Eqs. (52)–(53)",
        "α = 1: dX = −λ_t M dt, dM = −γ_t (M − ∇L(X)) dt + γ_t Σ^{1/2}(X) dW",
        &[BLOCK, "src/exact_moments/inertial.rs"],
        &[ENGINE, EXACT_TESTS],
    ),
    item(
        "Sec. B.2",
        "α ≥ 1: another limit than SGD's; for α > 1 nothing moves in O(1/η) steps",
        &[WEAK, "src/exact_moments/inertial.rs"],
        &[EXACT_TESTS],
    ),
    item(
        "Lemma C.1",
        "∂Φ(x)∇L(x) = 0",
        &["src/projection/mod.rs", DEPARTURES],
        &["tests/projection/contract.rs", DEPARTURE_TESTS],
    ),
    item(
        "Lemma C.2",
        "Φ is three times differentiable near Γ; the distance to Γ is bounded by the gradient; there is a Lyapunov function that vanishes on Γ alone",
        &["src/projection/mod.rs"],
        &["tests/projection/contract.rs"],
    ),
    item(
        "Def. C.3",
        "uniform metric sup_t ‖f(t) − g(t)‖",
        &["src/ensemble/path_statistics.rs"],
        &["tests/slow_regime/paths.rs"],
    ),
    item(
        "Theorem C.4",
        "Katzenberger: a process driven along −∇L by a clock A that runs ever faster, and by noise Z, has a limit on Γ: dX = ∂Φ dZ + ½∂²Φ[d⟨Z⟩]",
        &[SLOW],
        &[],
    ),
    proof(
        "Theorem C.5",
        "Kurtz and Protter: ∫ X dY has the limit of ∫ X dY where (X, Y) converges and Y has bounded quadratic variation",
        &[],
        "a theorem that is cited; what follows from it is Theorem C.27",
    ),
    item(
        "Theorem C.6",
        "Theorem 5.5 for stopped processes in the uniform metric",
        &[SLOW, "src/region.rs"],
        &["tests/slow_regime/bookkeeping.rs"],
    ),
    item(
        "Theorem C.7",
        "SGD's process is Katzenberger's, and its limit over O(1/η²) steps is (4)",
        &[SLOW],
        &[],
    ),
    item(
        "Lemma C.8",
        "the moments of the momentum are bounded while x stays in a compact set",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    proof(
        "Lemma C.9",
        "integrals of f against the clocks of the steps are sums of f over the steps",
        &[],
        "notation: the program has the sums alone",
    ),
    item(
        "Lemma C.10",
        "Grönwall, growth: f(t) ≤ C + ∫₀ᵗ f(s−) dg(s) with g non-decreasing gives f(t) ≤ C e^{g(t)}",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.11",
        "Grönwall for rates of either sign (formulas of the source lost; tested for sums)",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.12",
        "Grönwall with jumps: a process that decays along a clock A, driven and with jumps, is bounded by its exponential average over A (formulas lost; tested as Lemma C.16 uses it)",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.13",
        "an elementary bound of the exponential at jumps, for Lemma C.12 (formulas lost; tested with it)",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.14",
        "∫₀ᵗ e^{−c(A_t−A_s)} dA_s is bounded by a multiple of 1/c (formulas lost; tested as Lemma C.16 uses it)",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.15",
        "Doob: P(sup|M| ≥ c) ≤ E|M_T|^p/c^p for p ≥ 1, and E sup|M|^p ≤ (p/(p−1))^p E|M_T|^p for p > 1",
        &[],
        &[INEQUALITIES],
    ),
    item(
        "Lemma C.16",
        "moments of the velocity along the path, at a time and in the supremum",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    item(
        "Lemma C.17",
        "one step moves x by η_k‖m_{k+1}‖ and m by (1−β_k)‖g_k − m_k‖",
        &[BLOCK],
        &[ENGINE],
    ),
    item(
        "Lemma C.18",
        "the velocity times η vanishes in the limit, uniformly in time",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    proof(
        "Lemma C.19",
        "the same with a function of x in front",
        &[],
        "a step of the proof of Lemma C.18: no number of its own",
    ),
    item(
        "Lemma C.20",
        "integrals of gradient and velocity along the path are bounded",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    item(
        "Lemma C.21",
        "the distance to Γ vanishes for t > 0",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    item(
        "Lemma C.22",
        "averaging: the momentum's outer product tends to its stationary covariance",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    item(
        "Lemma C.23",
        "averaging of the products of momentum and gradient",
        &[DEPARTURES],
        &[DEPARTURE_TESTS],
    ),
    proof(
        "Lemma C.24",
        "the mixed terms of Itô's formula for Φ vanish or combine to the drift ½∂²Φ[Σ]",
        &[SLOW],
        "no number of its own: the drift of (4), which the verdicts on SGDM need; an SDE without it is refuted (slow_controls)",
    ),
    proof(
        "Lemma C.25",
        "the terms of third order of Itô's formula for Φ vanish",
        &[SLOW],
        "a bound in the proof: no number of its own; what it leaves is the error of SGDM against (4)",
    ),
    proof(
        "Lemma C.26",
        "the squares of the momentum in Itô's formula average to the covariance Σ of the noise: the drift ½∂²Φ[Σ]",
        &[SLOW],
        "no number of its own: the drift of (4), which the verdicts on SGDM need; an SDE without it is refuted (slow_controls)",
    ),
    item(
        "Theorem C.27",
        "the limit of SGDM over O(1/η²) steps is (4)",
        &[SLOW],
        &[
            "tests/slow_regime/laws.rs",
            "tests/slow_regime/alpha_two.rs",
        ],
    ),
];

/// The item of this name.
pub fn find(name: &str) -> Option<&'static Item> {
    ITEMS.iter().find(|i| i.name == name)
}

/// The name that is most like a text.
pub fn nearest(text: &str) -> Option<&'static str> {
    let likeness = |i: &Item| strsim::jaro_winkler(text, i.name);
    let best = ITEMS
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.7).then_some(best.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every number from the first to the last of each of the paper's counters.
    #[test]
    fn every_numbered_item_is_there() {
        let counters = [
            ("3", 1..=4),
            ("4", 1..=5),
            ("5", 1..=5),
            ("6", 1..=1),
            ("A", 1..=2),
            ("B", 1..=14),
            ("C", 1..=27),
        ];
        let numbered = ["Def.", "Assumption", "Lemma", "Theorem"];
        for (section, numbers) in counters {
            for n in numbers {
                let names = numbered.map(|kind| format!("{kind} {section}.{n}"));
                let found = names.iter().filter(|n| find(n).is_some()).count();
                assert_eq!(found, 1, "{section}.{n}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_files_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (i, item) in ITEMS.iter().enumerate() {
            assert!(ITEMS[..i].iter().all(|o| o.name != item.name), "{item:?}");
            for file in item.code.iter().chain(item.tests) {
                assert!(root.join(file).is_file(), "{}: {file}", item.name);
            }
        }
    }

    /// Whoever adds an item says how it is tested, or why it is not.
    #[test]
    fn every_item_has_a_scenario_a_test_or_a_reason() -> Result<(), Box<dyn std::error::Error>> {
        let mut tested = vec![];
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"))? {
            let path = file?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                let text: toml::Table = toml::from_str(&std::fs::read_to_string(path)?)?;
                let names = text.get("paper").and_then(|p| p.as_array());
                let names = names.into_iter().flatten().filter_map(|n| n.as_str());
                tested.extend(names.map(str::to_string));
            }
        }
        for item in ITEMS {
            let scenario = tested.iter().any(|name| name == item.name);
            let covered = scenario || !item.tests.is_empty() || !item.reason.is_empty();
            assert!(covered, "{}", item.name);
            let both = !item.tests.is_empty() && !item.reason.is_empty();
            assert!(!both, "{} is tested, and says why not", item.name);
        }
        Ok(())
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("Lemma A2"), Some("Lemma A.2"));
        assert_eq!(nearest("xyzzy"), None);
    }
}
