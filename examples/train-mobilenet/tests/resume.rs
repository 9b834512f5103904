//! A run that is killed and resumed, at whatever moment, ends where it would have ended.

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Workplace, errors};

/// Runs without interruption, as the measure for the others.
fn uninterrupted(workplace: &Workplace) {
    let output = workplace.run("whole", &[]);
    assert!(output.status.success(), "{}", errors(&output));
}

/// Checks that a resumed run's result is that of the uninterrupted one, to the bit.
fn assert_same(workplace: &Workplace, resumed: &str) {
    let (expected, found) = (workplace.report("whole"), workplace.report(resumed));
    assert_eq!(found.accuracy, expected.accuracy);
    assert_eq!(found.training, expected.training);
    assert_eq!(found.retraining, expected.retraining);
    assert!(found.resumed);
    assert!(workplace.weights(resumed) == workplace.weights("whole"));
}

#[test]
fn killed_at_many_moments() {
    let workplace = Workplace::new();
    let started = Instant::now();
    uninterrupted(&workplace);
    let whole = started.elapsed();

    // Kills at ever later moments of the process, so that every part of the run is hit while some progress is made.
    let mut kills = 0;
    let mut more: &[&str] = &[];
    loop {
        let mut child = workplace
            .command("killed", more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + whole.mul_f64(0.15 + 0.07 * f64::from(kills));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(status) = status {
            assert!(status.success());
            break;
        }
        kills += 1;
        // Killed before it had begun: there is nothing to resume yet.
        more = if workplace.path("killed/run.json").exists() {
            &["--resume"]
        } else {
            &[]
        };
    }
    assert!(kills >= 2, "killed {kills} times");
    assert_same(&workplace, "killed");
}

#[test]
fn damaged_and_incomplete_checkpoints_are_passed_over() {
    let workplace = Workplace::new();
    uninterrupted(&workplace);

    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 5] = [
        ("incomplete", |directory| {
            std::fs::remove_file(directory.join("optim-2.bpk")).unwrap();
        }),
        ("truncated", |directory| {
            let path = directory.join("model-2.bpk");
            let content = std::fs::read(&path).unwrap();
            std::fs::write(path, &content[..content.len() / 2]).unwrap();
        }),
        ("garbled", |directory| {
            std::fs::write(directory.join("optim-2.bpk"), b"not a checkpoint").unwrap();
        }),
        ("empty", |directory| {
            std::fs::write(directory.join("scheduler-2.bpk"), b"").unwrap();
        }),
        ("temporary", |directory| {
            std::fs::remove_file(directory.join("model-2.bpk")).unwrap();
            std::fs::write(directory.join("model-2.bpk.123-0.tmp"), b"half a checkp").unwrap();
        }),
    ];
    for (name, damage) in damages {
        let output = std::process::Command::new("cp")
            .arg("-r")
            .args([workplace.path("whole"), workplace.path(name)])
            .status()
            .unwrap();
        assert!(output.success());
        let run = workplace.path(name);
        std::fs::remove_file(run.join("report.json")).unwrap();
        std::fs::remove_dir_all(run.join("approximate")).unwrap();
        damage(&run.join("retraining/checkpoint"));

        let output = workplace.run(name, &["--resume"]);
        let text = errors(&output);
        assert!(output.status.success(), "{name}: {text}");
        assert!(
            text.contains("retraining: going on after epoch 1"),
            "{name}: {text}"
        );
        assert_same(&workplace, name);
        let left = std::fs::read_dir(run.join("retraining/checkpoint"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() == "tmp")
            .count();
        assert_eq!(left, 0, "{name}");
    }

    // Nothing to fall back to.
    for part in ["model-1.bpk", "model-2.bpk"] {
        let path = workplace.path("whole/retraining/checkpoint").join(part);
        std::fs::write(path, b"").unwrap();
    }
    let output = workplace.run("whole", &["--resume"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("no checkpoint can be read"),
        "{}",
        errors(&output)
    );
}

#[test]
fn resuming_a_finished_run_repeats_its_report() {
    let workplace = Workplace::new();
    uninterrupted(&workplace);
    let before = workplace.report("whole");
    let output = workplace.run("whole", &["--resume"]);
    assert!(output.status.success(), "{}", errors(&output));
    let after = workplace.report("whole");
    assert_eq!(after.accuracy, before.accuracy);
    assert_eq!(after.retraining, before.retraining);
}
