fn main() -> anyhow::Result<()> {
    let control = slowsde::ensemble::Control::default();
    for f in std::env::args().skip(1) {
        let s = slowsde::scenario::Scenario::read(
            std::path::Path::new(&f),
            Default::default(),
            &Default::default(),
        )?;
        let r = s.execute(&control, &|_| {})?;
        println!(
            "{}: {:.2}s rounds {} paths {} steps {:.2e}",
            f, r.effort.seconds, r.effort.rounds, r.cells[0].paths, r.effort.path_steps as f64
        );
        let t = std::time::Instant::now();
        let figs = slowsde::report::plots::draw_all(
            &r,
            std::path::Path::new(&format!("output/{}", r.scenario.name)),
        )?;
        println!("  {} figures {:.2}s", figs.len(), t.elapsed().as_secs_f64());
        for n in &r.notes {
            println!("   {n}");
        }
        for c in &r.comparisons {
            println!(
                "  {:20} {:?} (exp {:?}) {}",
                c.id, c.verdict, c.expected, c.reason
            );
            for f in &c.functions {
                println!(
                    "      {:10} scale {:.3} limit {:+.4} ± {:.4} (se {:.5}) t={:.2} chi2 {:.2} errors {:?}",
                    r.functions[f.function],
                    f.scale,
                    f.limit.value,
                    f.limit.upper - f.limit.value,
                    f.limit.standard_error,
                    f.limit_time,
                    f.reduced_chi_square,
                    f.errors
                        .iter()
                        .map(|e| format!("{:.4}", e.error.value))
                        .collect::<Vec<_>>()
                );
            }
        }
    }
    Ok(())
}
