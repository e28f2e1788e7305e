//! The shell takes the place of the binary here, because these tests are about the site.

use super::*;

fn site() -> Site {
    Site::new("/bin/sh", "[source]\nurl = \"incoming\"\n")
}

#[test]
fn commands_run_in_the_folder_with_the_variables() {
    let mut site = site();
    site.set_variable("FAILPOINTS", "old");
    site.set_variable("FAILPOINTS", "new");
    let finished = site.run(["-c", "cat gristmill.toml; ls; echo $FAILPOINTS >&2; exit 3"]);
    assert_eq!(finished.status.code(), Some(3));
    assert_eq!(
        finished.stdout,
        "[source]\nurl = \"incoming\"\ngristmill.toml\nincoming\n"
    );
    assert_eq!(finished.stderr, "new\n");
    site.clear_variable("FAILPOINTS");
    assert_eq!(site.run_ok(["-c", "echo \"<$FAILPOINTS>\""]), "<>\n");
}

#[test]
#[should_panic(expected = "why it failed")]
fn a_failure_shows_its_output() {
    site().run_ok(["-c", "echo why it failed >&2; exit 1"]);
}

#[test]
fn a_submission_is_whole_and_alone() {
    let site = site();
    site.submit("IL/IL-1.tdf", "first");
    let path = site.submit("IL/IL-1.tdf", "second");
    assert_eq!(fs::read(path).unwrap(), b"second");
    assert_eq!(fs::read_dir(site.incoming().join("IL")).unwrap().count(), 1);
}

#[test]
fn background_commands_are_asked_and_forced_to_stop() {
    use std::os::unix::process::ExitStatusExt;
    let site = site();
    let script = "trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.01; done";

    let polite = site.start(["-c", script]);
    wait_until("the command is ready", || polite.stdout() == "ready\n");
    let finished = polite.terminate();
    assert_eq!(
        (finished.status.code(), finished.stdout.as_str()),
        (Some(0), "ready\nstopping\n")
    );

    let mut deaf = site.start(["-c", script]);
    assert!(deaf.is_running());
    assert_eq!(deaf.kill().status.signal(), Some(9));
}

#[test]
fn a_dropped_command_is_gone() {
    let background = site().start(["-c", "exec sleep 600"]);
    let process = PathBuf::from(format!("/proc/{}", background.id()));
    assert!(process.exists());
    drop(background);
    assert!(!process.exists());
}
