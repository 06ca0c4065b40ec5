use super::*;

#[tokio::test]
async fn a_source_tells_whether_and_since_when_it_can_be_reached() {
    let board = board();
    let contact = board.connect("configmap", ["team-a".to_owned()]);
    contact.lost("team-a", "cannot list configmaps in team-a: no");
    let source = &json(&board, "/api/v1/sources").await["sources"][0];
    assert_eq!((&source["name"], &source["connected"]), (&"configmap".into(), &false.into()));
    assert_eq!(source["error"], "cannot list configmaps in team-a: no");
    assert!(source["since"].is_string() && source["lastContact"].is_null());
    let (_, metrics) = get(&board, "/metrics").await;
    assert!(metrics.contains("\naviary_source_connected{source=\"configmap\"} 0\n"), "{metrics}");
    assert!(!metrics.contains("aviary_source_last_contact_timestamp_seconds{"));
    contact.reached("team-a");
    let (_, metrics) = get(&board, "/metrics").await;
    assert!(metrics.contains("\naviary_source_connected{source=\"configmap\"} 1\n"));
    assert!(metrics.contains("\naviary_source_last_contact_timestamp_seconds{source=\"configmap\"} "));
    contact.refuse(4);
    assert_eq!(json(&board, "/api/v1/sources").await["sources"][0]["refused"], 4);
    let (_, metrics) = get(&board, "/metrics").await;
    assert!(metrics.contains("\naviary_source_refused_configmaps{source=\"configmap\"} 4\n"), "{metrics}");
}
