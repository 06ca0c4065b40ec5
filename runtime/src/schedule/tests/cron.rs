//! Tests of cron expressions.

use super::*;

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
