//! An engine in memory with a crash model: unsynced writes are lost, the last one may be torn, a sync may fail.
