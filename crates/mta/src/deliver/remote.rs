pub(super) async fn work(_mta: &std::sync::Arc<crate::Mta>, _lane: &store::spool::LaneId) {}
