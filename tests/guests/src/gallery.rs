//! The gallery of crimes: every hostile guest, and what has to become of it.

// The compiler tells of each crime that the gallery does not list.
#[deny(dead_code)]
mod crimes {
    macro_rules! guest {
        ($name:ident $path:literal) => {
            pub(super) const $name: &str = $path;
        };
    }
    for_each_crime!(guest);
}

// Not all guests are crimes, so unused ones are no error here.
#[expect(dead_code, reason = "helpful guests are not part of the gallery")]
mod guests {
    macro_rules! guest {
        ($name:ident $path:literal) => {
            pub(super) const $name: &str = $path;
        };
    }
    for_each!(guest);
}

/// A hostile guest, and the end that it has to come to.
#[derive(Clone, Copy, Debug)]
pub struct Crime {
    /// The name of the guest's file, in capitals.
    pub name: &'static str,
    /// The path of the component.
    pub path: &'static str,
    /// Lines of YAML under `spec` of its manifest, beside the module.
    pub spec: &'static [&'static str],
    /// The end that one round of it has to come to.
    pub end: End,
}

/// The end of a crime.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The round ends with a fault of the guest.
    Fault {
        /// The label of the fault's reason.
        reason: &'static str,
        /// A part of the fault's message.
        says: &'static str,
    },
    /// The round ends with an outcome, as nothing came of the crime.
    Outcome {
        /// A part of the outcome's message.
        says: &'static str,
    },
}

macro_rules! gallery {
    ($($place:ident $name:ident [$($spec:literal)*] $end:expr,)*) => {
        /// Every crime.
        pub const GALLERY: &[Crime] = &[$(
            Crime { name: stringify!($name), path: $place::$name, spec: &[$($spec),*], end: $end },
        )*];
    };
}

const fn fault(reason: &'static str, says: &'static str) -> End {
    End::Fault { reason, says }
}

const fn outcome(says: &'static str) -> End {
    End::Outcome { says }
}

gallery! {
    // Time.
    crimes SPINS_IN_START ["timeout: 100ms"] fault("timeout", "start timed out after 100ms"),
    guests SPINS_IN_INIT ["timeout: 100ms"] fault("timeout", "init timed out after 100ms without waiting"),
    guests SPINS_IN_POLL ["limits: { cpu: 50ms }"] fault("cpu", "poll used up its 50ms of processor time"),
    guests SPINS_IN_CLEANUP ["limits: { cpu: 50ms }"] fault("cpu", "cleanup used up its 50ms"),
    crimes SPINS_IN_REALLOC ["timeout: 100ms"] fault("timeout", "init timed out after 100ms without waiting"),
    crimes SPINS_IN_POST_RETURN ["limits: { cpu: 50ms }"] fault("cpu", "poll used up its 50ms"),
    crimes SPINS_BY_TAIL_CALLS ["limits: { cpu: 50ms }"] fault("cpu", "poll used up its 50ms"),
    crimes FILLS_MEMORY ["limits: { cpu: 100ms }"] fault("cpu", "poll used up its 100ms"),
    crimes POLLS_WITHOUT_A_PAUSE ["limits: { cpu: 50ms }"] fault("cpu", "poll used up its 50ms"),
    guests SLEEPS_FOREVER ["timeout: 100ms"] fault("timeout", "poll timed out after 100ms without waiting"),
    crimes SLEEPS_500_YEARS ["timeout: 100ms"] fault("timeout", "poll timed out after 100ms without waiting"),
    crimes WAITS_FOR_400_THINGS ["timeout: 100ms"] fault("timeout", "poll timed out after 100ms without waiting"),
    crimes WAITS_FOR_NOTHING [] fault("protocol", "empty poll list"),
    crimes WAITS_A_MILLION_TIMES_AT_ONCE [] fault("protocol", "fuel"),
    // Traps.
    guests TRAPS [] fault("trap", "poll trapped: "),
    guests TRAPS_IN_INIT [] fault("trap", "init trapped: "),
    crimes TRAPS_IN_START [] fault("trap", "start trapped: wasm trap: wasm `unreachable` instruction executed"),
    crimes TRAPS_IN_REALLOC [] fault("trap", "init trapped: wasm trap: wasm `unreachable` instruction executed"),
    crimes TRAPS_IN_POST_RETURN [] fault("trap", "poll trapped: wasm trap: wasm `unreachable` instruction executed"),
    crimes TRAPS_IN_CLEANUP [] fault("trap", "cleanup trapped: wasm trap: wasm `unreachable` instruction executed"),
    guests RECURSES [] fault("trap", "stack"),
    crimes RECURSES_IN_REALLOC [] fault("trap", "init trapped: wasm trap: call stack exhausted"),
    guests EXITS [] fault("trap", "poll trapped: the guest exited with code 1"),
    crimes EXITS_IN_START [] fault("trap", "start trapped: the guest exited with code 0"),
    // Memory.
    guests GROWS_MEMORY ["limits: { memory: 16Mi }"] outcome("MiB"),
    crimes GROWS_A_TABLE [] outcome(""),
    guests HUGE_MESSAGE ["limits: { memory: 4Mi }"] fault("memory", "more than its 4 MiB of memory"),
    crimes DECLARES_4_GIB [] fault("memory", "more than its 64 MiB of memory"),
    crimes DECLARES_MANY_MEMORIES [] fault("module", "memories"),
    crimes DECLARES_A_HUGE_TABLE [] fault("module", "table"),
    crimes DECLARES_MANY_TABLES [] fault("module", "tables"),
    crimes DECLARES_MANY_INSTANCES [] fault("module", "instances"),
    crimes MULTIPLIES_INSTANCES [] fault("module", "instances"),
    // Answers.
    guests LONG_MESSAGE [] outcome("more targets are not shown"),
    crimes MESSAGE_BEYOND_MEMORY [] fault("protocol", "out of bounds"),
    crimes MESSAGE_OF_4_GIB [] fault("protocol", "out of bounds"),
    crimes MESSAGE_OF_2_GIB_IN_UTF16 [] fault("protocol", "out of bounds"),
    crimes MESSAGE_IS_NO_TEXT [] fault("protocol", "utf-8"),
    crimes MESSAGE_IS_HALF_A_SURROGATE [] fault("protocol", "surrogate"),
    crimes MESSAGE_AT_AN_ODD_ADDRESS [] fault("protocol", "aligned"),
    crimes MESSAGE_TURNS_THE_LINE [] outcome("a\\u{202e}drawkcab\\u{2028}line\\u{2066}z"),
    crimes ENDLESS_LIST_OF_TARGETS [] fault("protocol", "out of bounds"),
    crimes AMPLIFIES [] fault("protocol", "fuel"),
    crimes STATUS_THAT_IS_NONE [] fault("protocol", "discriminant"),
    crimes RESULT_THAT_IS_NONE [] fault("protocol", "discriminant"),
    crimes ANSWER_BEYOND_MEMORY [] fault("protocol", "out of bounds"),
    crimes ROOM_BEYOND_MEMORY [] fault("protocol", "realloc return: beyond end of memory"),
    crimes ROOM_IS_THE_ANSWER [] fault("protocol", "discriminant"),
    // Handles and host calls.
    crimes FORGES_A_HANDLE [] fault("protocol", "handle index 77"),
    crimes FORGES_A_HANDLE_IN_START [] fault("protocol", "start trapped: unknown handle index 77"),
    crimes USES_A_DROPPED_HANDLE [] fault("protocol", "handle index"),
    crimes LEAKS_HANDLES [] fault("protocol", "`limits: { handles: … }` raises that"),
    crimes CALLS_HOST_FROM_REALLOC [] fault("trap", "cannot leave component instance"),
    crimes WANTS_ENDLESS_RANDOM [] fault("protocol", "exceeds limit"),
    crimes OPENS_SOCKETS [] outcome(""),
    guests FLOODS_LOG ["timeout: 1s" "limits: { cpu: 100ms }"] fault("cpu", "poll used up its 100ms"),
    crimes FLOODS_METRICS ["limits: { cpu: 10s, hostCalls: 10000 }"] outcome(""),
    guests PRINTS [] outcome("printed"),
    crimes PRINTS_WITHOUT_AN_END ["limits: { cpu: 100ms }"] fault("cpu", "poll used up its 100ms"),
    crimes PRINTS_A_TERABYTE_OF_ZEROES [] fault("protocol", "zeroes"),
    crimes DIES_WITH_ENDLESS_LAST_WORDS ["limits: { cpu: 10s }"] fault("trap", "poll trapped: panicked:"),
    // Modules that are no checks.
    crimes IS_ANOTHER_WORLD [] fault("module", "not a check: it exports `wasi:cli/run@0.2.0`"),
    crimes LACKS_POLL [] fault("module", "lifecycle"),
    crimes POLLS_WITH_ANOTHER_SIGNATURE [] fault("module", "lifecycle"),
    crimes POLLS_ASYNCHRONOUSLY [] fault("module", "async"),
    crimes EXPORTS_TWICE [] fault("module", "conflicts with previous name"),
    crimes IMPORTS_TWICE [] fault("module", "conflicts with previous name"),
    crimes IMPORTS_LOG_WRONGLY [] fault("module", "asks for something this daemon does not offer"),
    crimes IMPORTS_WHAT_NOBODY_OFFERS [] fault("module", "asks for something this daemon does not offer"),
    crimes IMPORTS_KUBERNETES_UNGRANTED [] fault("module", "imports kubernetes, which is not granted"),
    crimes IMPORTS_A_FORGED_LINE [] fault("module", "asks for something this daemon does not offer"),
    crimes IMPORTS_AN_EMPTY_FORGERY [] outcome(""),
    crimes IMPORTS_900_NOTHINGS [] fault("module", "has 901 imports, and a guest may have 100"),
    crimes SHARES_MEMORY [] fault("module", "does not compile"),
    crimes ADDRESSES_64_BITS [] fault("module", "does not compile"),
    crimes NESTS_TYPES [] fault("module", "does not compile"),
}
