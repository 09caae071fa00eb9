//! Tests complete and incomplete environments.

use tidemark::error::ErrorCode;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

#[test]
fn defaults_suit_a_first_deployment() {
    let config = UpdateConfig::read(environment(&[("SINK_BUCKET", "b"), ("SOURCE_SECRET_ARN", "arn")])).unwrap();
    assert_eq!(config.sink.prefix, "tidemark");
    assert_eq!((config.source.tls, config.source.read_intent), (None, false));
    assert_eq!(
        config.watermarks,
        WatermarkConfig::S3,
        "a login that may only read is enough"
    );
}

#[test]
fn the_control_table_is_by_default_that_of_the_tutorial() {
    let config = UpdateConfig::read(environment(&[
        ("SINK_BUCKET", "b"),
        ("SOURCE_SECRET_ARN", "arn"),
        ("WATERMARK_STORE", "sql"),
    ]));
    let config = config.unwrap();
    let WatermarkConfig::Sql(store) = config.watermarks else {
        panic!("it is chosen")
    };
    let server = ServerSettings {
        is_written: true,
        ..config.source
    };
    assert_eq!(store.server, server);
    assert_eq!(
        (store.table.to_string(), store.procedure.to_string()),
        ("dbo.watermarktable".into(), "dbo.usp_write_watermark".into())
    );
}

#[test]
fn everything_missing_is_reported_at_once() {
    let error = CopyConfig::read(environment(&[
        ("SINK_BUCKET", ""),
        ("SOURCE_TLS", "off"),
        ("PART_BYTES", "12"),
        ("SOURCE_SILENCE_SECONDS", "0"),
        ("SOURCE_PORT", "high"),
        ("SINK_PORT", "0"),
        ("SOURCE_READ_INTENT", "yes"),
        ("SINK_BUCKET_OWNER", "1111-2222-3333"),
        ("SINK_SIGNED_PAYLOADS", "1"),
    ]))
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    for name in [
        "SINK_BUCKET is not set",
        "SOURCE_SECRET_ARN is not set",
        "SOURCE_TLS is 'off'",
        "PART_BYTES",
        "SOURCE_SILENCE_SECONDS",
        "SOURCE_PORT is not a port from 1 to 65535",
        "SINK_PORT",
        "SOURCE_READ_INTENT is 'yes'",
        "SINK_BUCKET_OWNER is not the id of an account",
        "SINK_SIGNED_PAYLOADS is '1'",
    ] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

const SHARED: [(&str, &str); 9] = [
    ("SINK_BUCKET", "b"),
    ("SOURCE_SECRET_ARN", "arn"),
    ("WATERMARK_STORE", "sql"),
    ("SOURCE_HOST", "source"),
    ("SOURCE_PORT", "1500"),
    ("SOURCE_DATABASE", "sales"),
    ("SOURCE_TLS", "trust"),
    ("SOURCE_READ_INTENT", "true"),
    ("WATERMARK_DATABASE", "control"),
];

fn control_table_of(variables: &[(&str, &str)]) -> (ServerSettings, ServerSettings) {
    let config = UpdateConfig::read(environment(variables)).unwrap();
    match config.watermarks {
        WatermarkConfig::Sql(store) => (config.source, store.server),
        WatermarkConfig::S3 => panic!("sql is chosen"),
    }
}

#[test]
fn a_server_without_a_secret_of_its_own_is_the_source() {
    let (source, control) = control_table_of(&SHARED);
    assert_eq!((source.tls, source.read_intent), (Some(Tls::Trust), true));
    assert_eq!((source.host.as_deref(), source.port), (Some("source"), Some(1500)));
    let shared = ServerSettings {
        database: Some("control".to_owned()),
        is_written: true,
        ..source
    };
    assert_eq!(control, shared);
}

#[test]
fn what_holds_for_the_source_holds_for_no_other_secret() {
    let own = [&SHARED[..], &[("WATERMARK_SECRET_ARN", "own"), ("SINK_HOST", "sink")]].concat();
    let (_, control) = control_table_of(&own);
    assert_eq!(
        (control.secret.as_str(), control.tls, control.host),
        ("own", None, None)
    );
    assert_eq!((control.read_intent, control.is_written), (false, true));
    let sinks = CopyConfig::read(environment(&own)).unwrap().sinks;
    assert_eq!(
        (sinks.host.as_deref(), sinks.port, sinks.tls),
        (Some("sink"), None, None)
    );
}

#[test]
fn only_the_secrets_that_are_named_are_those_of_sinks() {
    let sinks = |value: &str| {
        let variables = [
            ("SINK_BUCKET", "b"),
            ("SOURCE_SECRET_ARN", "arn"),
            ("SINK_SECRET_ARNS", value),
        ];
        CopyConfig::read(environment(&variables)).unwrap().sink_secret_arns
    };
    assert_eq!(sinks(""), [""; 0]);
    assert_eq!(sinks("arn:one, arn:two ,"), ["arn:one", "arn:two"]);
}

#[test]
fn the_s3_store_needs_no_server() {
    let config = LookupOldConfig::read(environment(&[("SINK_BUCKET", "b")])).unwrap();
    assert_eq!(config.watermarks, WatermarkConfig::S3);
}

#[test]
fn metrics_are_of_a_stack_and_of_tables_where_that_is_wanted() {
    let read = |variables: &[(&str, &str)]| MetricsConfig::read(environment(variables));
    let metrics = |stack: &str, per_table| MetricsConfig {
        stack: stack.to_owned(),
        per_table,
    };
    assert_eq!(read(&[]).unwrap(), metrics("tidemark", false));
    let given = [("METRICS_STACK", "dev"), ("METRICS_PER_TABLE", "true")];
    assert_eq!(read(&given).unwrap(), metrics("dev", true));
    let error = read(&[("METRICS_PER_TABLE", "yes")]).unwrap_err();
    assert!(error.to_string().contains("METRICS_PER_TABLE is 'yes'"), "{error}");
}

#[test]
fn what_is_known_of_the_bucket_is_read() {
    let facts = |more: &[(&str, &str)]| {
        let variables = [&[("SINK_BUCKET", "b")], more].concat();
        LookupOldConfig::read(environment(&variables)).unwrap().sink.facts
    };
    assert_eq!(facts(&[]), BucketFacts::default());
    let known = [
        ("SINK_BUCKET_OWNER", "111122223333"),
        ("SINK_KMS_KEY_ARN", "arn:key"),
        ("SINK_SIGNED_PAYLOADS", "true"),
    ];
    let expected = BucketFacts {
        owner: Some("111122223333".to_owned()),
        encryption: Encryption::Kms(Some("arn:key".to_owned())),
        signs_payloads: true,
    };
    assert_eq!(facts(&known), expected);
    assert_eq!(facts(&[("SINK_ENCRYPTION", "AES256")]).encryption, Encryption::S3);
    assert_eq!(
        facts(&[("SINK_ENCRYPTION", "aws:kms")]).encryption,
        Encryption::Kms(None)
    );
    assert_eq!(
        facts(&[("SINK_ENCRYPTION", "aws:kms:dsse"), known[1]]).encryption,
        Encryption::KmsTwice(Some("arn:key".to_owned()))
    );
    for wrong in [
        &[("SINK_ENCRYPTION", "aes")][..],
        &[("SINK_ENCRYPTION", "AES256"), known[1]],
    ] {
        let variables = [&[("SINK_BUCKET", "b")], wrong].concat();
        let error = LookupOldConfig::read(environment(&variables)).unwrap_err();
        assert!(error.to_string().contains("SINK_ENCRYPTION is neither"), "{error}");
    }
}

#[test]
fn a_run_has_a_budget_where_one_is_given() {
    let budget = |more: &[(&str, &str)]| {
        let variables = [&[("SINK_BUCKET", "b"), ("SOURCE_SECRET_ARN", "arn")], more].concat();
        let copy = CopyConfig::read(environment(&variables)).unwrap().budget;
        assert_eq!(UpdateConfig::read(environment(&variables)).unwrap().budget, copy);
        (copy.rows, copy.bytes, copy.usd.map(|usd| usd.to_string()))
    };
    assert_eq!(budget(&[]), (None, None, None));
    assert_eq!(
        budget(&[("RUN_BUDGET_ROWS", "0"), ("RUN_BUDGET_USD", "0")]),
        (None, None, None)
    );
    let all = [
        ("RUN_BUDGET_ROWS", "5000000"),
        ("RUN_BUDGET_BYTES", "100"),
        ("RUN_BUDGET_USD", "2.5"),
    ];
    assert_eq!(budget(&all), (Some(5_000_000), Some(100), Some("2.5000".to_owned())));
    let memory = |more: &[(&str, &str)]| {
        let variables = [&[("SINK_BUCKET", "b"), ("SOURCE_SECRET_ARN", "arn")], more].concat();
        let copy = CopyConfig::read(environment(&variables)).unwrap().budget.memory;
        assert_eq!(UpdateConfig::read(environment(&variables)).unwrap().budget.memory, copy);
        copy
    };
    assert_eq!(memory(&[]), CopyMemory::of_mb(1769));
    assert_eq!(memory(&[("COPY_MEMORY", "10240")]), CopyMemory::of_mb(10_240));
    let variables = [
        ("SINK_BUCKET", "b"),
        ("SOURCE_SECRET_ARN", "arn"),
        ("RUN_BUDGET_USD", "2,5"),
    ];
    let error = CopyConfig::read(environment(&variables)).unwrap_err();
    assert!(error.to_string().contains("RUN_BUDGET_USD: '2,5'"), "{error}");
}

#[test]
fn pieces_that_the_memory_has_no_room_for_are_refused() {
    let read = |memory: &str, part_bytes: &str| {
        CopyConfig::read(environment(&[
            ("SINK_BUCKET", "b"),
            ("SOURCE_SECRET_ARN", "arn"),
            ("COPY_MEMORY", memory),
            ("PART_BYTES", part_bytes),
        ]))
    };
    for (memory, part_bytes) in [("256", ""), ("256", "16777216"), ("448", "67108864"), ("", "67108864")] {
        assert!(read(memory, part_bytes).is_ok(), "{memory} {part_bytes}");
    }
    for (memory, part_bytes, needed) in [
        ("256", "67108864", "448 MB"),
        ("447", "67108864", "448 MB"),
        ("256", "16777217", "257 MB"),
    ] {
        let error = read(memory, part_bytes).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(
            error.to_string().contains(needed) && error.to_string().contains("Raise CopyMemory"),
            "{error}"
        );
    }
}
