use super::*;

const BERLIN: Option<&str> = Some("Europe/Berlin");

fn time(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn at_uptime(millis: u64) -> Now {
    Now { uptime: Duration::from_millis(millis), wall: Timestamp::UNIX_EPOCH }
}

fn at_wall(text: &str) -> Now {
    Now { uptime: Duration::ZERO, wall: time(text) }
}

fn every(seconds: u64) -> Schedule {
    Schedule::every(Duration::from_secs(seconds)).expect("valid")
}

fn cron(text: &str, zone: Option<&str>) -> Schedule {
    Schedule::cron(text, zone).expect("valid")
}

fn uptime(millis: u64) -> Due {
    Due::Uptime(Duration::from_millis(millis))
}

/// Planned so that it was to come at uptime zero.
fn wall(text: &str) -> Due {
    Due::Wall { at: time(text), expected: Duration::ZERO }
}

fn at_both(seconds: u64, text: &str) -> Now {
    Now { uptime: Duration::from_secs(seconds), wall: time(text) }
}

/// The time of the wall clock that was planned.
fn planned(due: Due) -> Timestamp {
    match due {
        Due::Wall { at, .. } => at,
        Due::Uptime(_) => panic!("{due:?} is not of the wall clock"),
    }
}

/// What a schedule makes of a run for `due` that ended at `now`.
fn after(schedule: &Schedule, due: Due, now: Now) -> (Timestamp, u64) {
    let (next, missed) = schedule.after(due, now, 0);
    (planned(next), missed)
}

/// The next `count` times of a cron expression, as a person in its time zone reads them.
fn times(schedule: &Schedule, start: &str, count: usize) -> Vec<String> {
    let Schedule::Cron(calendar) = schedule else { panic!("{schedule} is an interval") };
    let next = |time: &Timestamp| Some(calendar.next(*time));
    let times = std::iter::successors(next(&time(start)), next).take(count);
    times.map(|time| calendar.local(time).strftime("%m-%d %H:%M%:z").to_string()).collect()
}

#[test]
fn an_interval_runs_at_its_offset_and_then_every_interval() {
    let spread = 3_000_000_000;
    for (now, due) in
        [(0, 3_000), (2_999, 3_000), (3_000, 13_000), (3_001, 13_000), (12_999, 13_000), (13_000, 23_000)]
    {
        assert_eq!(every(10).next(at_uptime(now), spread), uptime(due), "at {now} ms");
    }
    assert_eq!(every(10).next(at_uptime(0), 0), uptime(10_000), "strictly after now");
}

#[test]
fn many_checks_of_one_interval_are_spread_over_it() {
    let mut seconds = [0_u32; 10];
    for number in 0..10_000 {
        let key = crate::value::Key::new("ns", &format!("check-{number}")).expect("valid");
        let wait = every(10).next(at_uptime(0), key.spread()).wait(at_uptime(0));
        seconds[usize::try_from(wait.as_secs()).expect("small")] += 1;
    }
    assert!(seconds.iter().all(|count| (850..1150).contains(count)), "{seconds:?}");
}

#[test]
fn an_interval_does_not_care_about_the_wall_clock() {
    let later = Now { wall: time("1999-01-01T00:00:00Z"), ..at_uptime(5_000) };
    assert_eq!(every(10).next(later, 0), every(10).next(at_uptime(5_000), 0));
}

#[test]
fn a_run_that_lasts_longer_than_the_interval_misses_times_and_they_are_counted() {
    for (ended, next, missed) in
        [(10_000, 20_000, 0), (19_999, 20_000, 0), (20_000, 30_000, 1), (45_000, 50_000, 3)]
    {
        assert_eq!(
            every(10).after(uptime(10_000), at_uptime(ended), 0),
            (uptime(next), missed),
            "ended at {ended} ms"
        );
    }
    let weeks = Now { uptime: Duration::from_secs(10_000_000), ..at_uptime(0) };
    assert_eq!(every(1).after(uptime(1_000), weeks, 0).1, MOST_MISSED);
}

#[test]
fn a_due_time_is_waited_for_until_it_has_come() {
    assert_eq!(uptime(1_500).wait(at_uptime(1_000)), Duration::from_millis(500));
    assert_eq!(uptime(1_500).wait(at_uptime(1_501)), Duration::ZERO);
    assert_eq!(
        wall("2026-01-01T00:00:01Z").wait(at_wall("2026-01-01T00:00:00.25Z")),
        Duration::from_millis(750)
    );
    assert_eq!(wall("2026-01-01T00:00:01Z").wait(at_wall("2026-01-01T00:00:02Z")), Duration::ZERO);
}

#[test]
fn a_due_time_is_late_only_once_it_has_passed() {
    assert_eq!(uptime(1_500).lateness(at_uptime(1_499)), Duration::ZERO);
    assert_eq!(uptime(1_500).lateness(at_uptime(1_750)), Duration::from_millis(250));
    let due = wall("2026-01-01T00:00:01Z");
    assert_eq!(due.lateness(at_both(1, "2026-01-01T00:00:02Z")), Duration::from_secs(1));
    assert_eq!(due.lateness(at_both(1, "2026-01-01T00:00:00Z")), Duration::ZERO);
}

#[test]
fn cron_has_five_fields_or_six_with_seconds_and_known_aliases() {
    for (text, next) in [
        ("*/5 * * * *", "2026-03-04T10:05:00Z"),
        ("*/20 * * * * *", "2026-03-04T10:02:40Z"),
        ("@hourly", "2026-03-04T11:00:00Z"),
        ("@daily", "2026-03-05T00:00:00Z"),
        ("@midnight", "2026-03-05T00:00:00Z"),
        ("@weekly", "2026-03-08T00:00:00Z"),
        ("@monthly", "2026-04-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("30 9 * * MON-FRI", "2026-03-05T09:30:00Z"),
        ("0 0 L * *", "2026-03-31T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
    ] {
        assert_eq!(
            planned(cron(text, None).next(at_wall("2026-03-04T10:02:20.5Z"), 7)),
            time(next),
            "{text}"
        );
    }
}

#[test]
fn every_is_an_interval() {
    assert_eq!(cron("@every 90s", None), every(90));
    assert_eq!(cron(" @every  1m30s ", None), every(90));
}

#[test]
fn a_cron_time_is_never_due_at_the_moment_it_is_asked() {
    let due = cron("* * * * *", None).next(at_wall("2026-03-04T10:02:00Z"), 0);
    assert_eq!(planned(due), time("2026-03-04T10:03:00Z"));
}

#[test]
fn after_the_end_of_the_calendar_nothing_is_due() {
    let now = Now { uptime: Duration::ZERO, wall: Timestamp::MAX };
    assert_eq!(planned(cron("* * * * *", BERLIN).next(now, 0)), Timestamp::MAX);
    assert_eq!(cron("* * * * *", BERLIN).fresh_for(now), Duration::ZERO);
}

#[test]
fn a_daily_time_follows_daylight_saving_in_its_zone() {
    let schedule = cron("0 8 * * *", BERLIN);
    assert_eq!(
        times(&schedule, "2026-03-28T00:00:00Z", 3),
        ["03-28 08:00+01:00", "03-29 08:00+02:00", "03-30 08:00+02:00"]
    );
}

#[test]
fn a_time_in_the_hour_that_spring_takes_runs_once_right_after_it() {
    let schedule = cron("30 2 * * *", BERLIN);
    assert_eq!(times(&schedule, "2026-03-28T12:00:00Z", 2), ["03-29 03:00+02:00", "03-30 02:30+02:00"]);
}

#[test]
fn a_time_in_the_hour_that_autumn_repeats_runs_once() {
    let schedule = cron("30 2 * * *", BERLIN);
    assert_eq!(times(&schedule, "2026-10-24T12:00:00Z", 2), ["10-25 02:30+02:00", "10-26 02:30+01:00"]);
}

#[test]
fn a_time_of_every_hour_runs_through_both_changes_of_the_clock() {
    let schedule = cron("0 * * * *", BERLIN);
    assert_eq!(times(&schedule, "2026-03-29T00:30:00Z", 2), ["03-29 03:00+02:00", "03-29 04:00+02:00"]);
    assert_eq!(
        times(&schedule, "2026-10-24T23:30:00Z", 3),
        ["10-25 02:00+02:00", "10-25 02:00+01:00", "10-25 03:00+01:00"]
    );
}

#[test]
fn cron_times_that_pass_during_a_run_are_counted() {
    let schedule = cron("* * * * *", None);
    let due = wall("2026-03-04T10:00:00Z");
    let ended = |seconds, text| after(&schedule, due, at_both(seconds, text));
    assert_eq!(ended(59, "2026-03-04T10:00:59Z"), (time("2026-03-04T10:01:00Z"), 0));
    assert_eq!(ended(180, "2026-03-04T10:03:00Z"), (time("2026-03-04T10:04:00Z"), 3));
    let years = at_both(157_766_430, "2031-03-04T10:00:30Z");
    assert_eq!(after(&schedule, due, years), (time("2031-03-04T10:01:00Z"), MOST_MISSED));
}

#[test]
fn times_that_pass_during_a_run_on_demand_are_skipped_as_during_any_other() {
    let minutely = cron("* * * * *", None);
    let ended = |seconds, text| after(&minutely, uptime(30_000), at_both(seconds, text));
    assert_eq!(ended(50, "2026-03-04T10:00:50Z"), (time("2026-03-04T10:01:00Z"), 0));
    assert_eq!(ended(70, "2026-03-04T10:01:10Z"), (time("2026-03-04T10:02:00Z"), 1));
    for (ended, next, missed) in
        [(9_900, 10_000, 0), (10_000, 20_000, 1), (10_500, 20_000, 1), (20_500, 30_000, 2)]
    {
        assert_eq!(every(10).after(uptime(9_500), at_uptime(ended), 0), (uptime(next), missed), "{ended} ms");
    }
}

#[test]
fn a_wall_clock_that_is_set_forward_makes_nothing_late_and_skips_nothing() {
    let schedule = cron("* * * * *", None);
    let due = schedule.next(at_both(100, "2026-03-04T10:00:30Z"), 0);
    let leapt = at_both(110, "2026-03-04T16:00:40Z");
    assert_eq!((due.wait(leapt), due.lateness(leapt)), (Duration::ZERO, Duration::ZERO));
    assert_eq!(after(&schedule, due, leapt), (time("2026-03-04T16:01:00Z"), 0));
}

#[test]
fn a_wall_clock_that_is_set_back_a_little_repeats_no_run() {
    let (schedule, now) = (cron("0 * * * *", None), at_wall("2026-03-04T09:59:59.9Z"));
    let (next, missed) = schedule.after(wall("2026-03-04T10:00:00Z"), now, 0);
    assert_eq!((planned(next), missed), (time("2026-03-04T11:00:00Z"), 0));
    assert_eq!(schedule.planned_anew(next, now), None);
    assert_eq!(schedule.planned_anew(next, at_wall("2026-03-04T09:59:01Z")), None);
}

#[test]
fn a_wall_clock_that_is_set_back_far_starts_over_from_its_new_time() {
    let (schedule, now) = (cron("0 * * * *", None), at_wall("2025-03-04T07:30:00Z"));
    let due = wall("2026-03-04T10:00:00Z");
    assert_eq!(after(&schedule, due, now), (time("2025-03-04T08:00:00Z"), 0));
    assert_eq!(schedule.planned_anew(due, now).map(planned), Some(time("2025-03-04T08:00:00Z")));
    assert_eq!(every(10).planned_anew(uptime(90_000), now), None);
}

#[test]
fn what_was_planned_is_planned_anew_only_when_the_clock_was_set_back() {
    for (text, zone) in [
        ("*/5 9-17 * * *", None),
        ("30 2 * * *", BERLIN),
        ("0 * * * *", BERLIN),
        ("*/20 2 * * *", BERLIN),
        ("0 0 13 * FRI", BERLIN),
    ] {
        let schedule = cron(text, zone);
        for day in ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"] {
            let mut now = Now { uptime: Duration::ZERO, wall: time(day) };
            let mut due = schedule.next(now, 0);
            for _ in 0..2 * 24 * 60 {
                now = Now {
                    wall: now.wall + Duration::from_secs(30),
                    uptime: now.uptime + Duration::from_secs(30),
                };
                assert_eq!(schedule.planned_anew(due, now), None, "{text} at {}", now.wall);
                if due.wait(now).is_zero() {
                    due = schedule.after(due, now, 0).0;
                }
            }
        }
    }
}

#[test]
fn an_outcome_stays_fresh_until_the_third_due_time_after_it() {
    assert_eq!(every(30).fresh_for(at_uptime(0)), Duration::from_secs(90));
    let office_hours = cron("*/5 9-17 * * *", None);
    assert_eq!(office_hours.fresh_for(at_wall("2026-03-04T12:00:01Z")), Duration::from_secs(15 * 60 - 1));
    assert_eq!(
        office_hours.fresh_for(at_wall("2026-03-04T17:55:00Z")),
        Duration::from_secs(15 * 3600 + 15 * 60)
    );
}

#[test]
fn the_shortest_gap_of_a_cron_expression_is_found_wherever_it_lies() {
    for (text, seconds) in [
        ("* * * * *", 60),
        ("0,1 0 * * *", 60),
        ("*/7 * * * *", 4 * 60),
        ("0,59 * * * * *", 1),
        ("0 0 28 2 *", 365 * 86_400),
        ("0 0 29 2 *", 4 * 365 * 86_400 + 86_400),
    ] {
        assert_eq!(cron(text, None).shortest_gap(), Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn schedules_that_mean_nothing_are_refused_with_the_reason() {
    for (text, zone, message) in [
        ("", None, "schedule `` is not a cron expression: it has 0 fields: write 5, or 6 with seconds first"),
        (
            "* * * *",
            None,
            "schedule `* * * *` is not a cron expression: it has 4 fields: write 5, or 6 with seconds first",
        ),
        ("99 * * * *", None, "schedule `99 * * * *` is not a cron expression: Number out of bounds"),
        (
            "@reboot",
            None,
            "schedule `@reboot` is not a cron expression: after `@` write yearly, annually, monthly, weekly, daily, hourly or `every 90s`",
        ),
        ("@every 0s", None, "interval is 0s: choose at least 10ms"),
        ("@every 1m", BERLIN, "timeZone means nothing to an interval: remove it, or write a cron expression"),
        ("0 0 30 2 *", None, "impossible schedule `0 0 30 2 *`: no such time ever comes"),
        ("0 0 31 4,6,9,11 *", None, "impossible schedule `0 0 31 4,6,9,11 *`: no such time ever comes"),
        (
            "@daily",
            Some("Mars/Base"),
            "time zone `Mars/Base` is not known: write for example `Europe/Berlin`",
        ),
        (
            "@daily",
            Some("../../etc/passwd"),
            "time zone `../../etc/passwd` is not known: write for example `Europe/Berlin`",
        ),
    ] {
        assert_eq!(Schedule::cron(text, zone).expect_err(text).to_string(), message);
    }
    let long = format!("{}0 * * * *", "0,".repeat(500));
    assert!(
        matches!(Schedule::cron(&long, None), Err(ScheduleError::NotCron(_, reason)) if reason.contains("longer than 200"))
    );
    assert_eq!(
        Schedule::every(Duration::from_millis(9)),
        Err(ScheduleError::TooShort(Duration::from_millis(9)))
    );
}

#[test]
fn a_schedule_prints_as_a_person_would_say_it() {
    assert_eq!(every(90).to_string(), "every 1m30s");
    assert_eq!(cron("*/5 * * * *", None).to_string(), "*/5 * * * * UTC");
    assert_eq!(cron("@daily", BERLIN).to_string(), "@daily Europe/Berlin");
}

#[test]
fn backoff_grows_to_five_minutes_and_never_beyond() {
    assert_eq!(backoff(0, 7), Duration::ZERO);
    for (failures, ceiling) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
        let waits: Vec<Duration> = (0..1_000)
            .map(|number: u64| backoff(failures, number.wrapping_mul(0x5851_F42D_4C95_7F2D)))
            .collect();
        let ceiling = Duration::from_secs(ceiling);
        assert!(waits.iter().all(|wait| *wait < ceiling), "{failures}");
        assert!(waits.iter().any(|wait| *wait > ceiling.mul_f64(0.9)), "{failures}");
        assert!(waits.iter().any(|wait| *wait < ceiling.mul_f64(0.1)), "{failures}");
    }
}

#[test]
fn backoff_is_the_same_for_the_same_check_and_differs_between_checks() {
    assert_eq!(backoff(5, 1), backoff(5, 1));
    assert_ne!(backoff(5, 1), backoff(5, 2));
}
