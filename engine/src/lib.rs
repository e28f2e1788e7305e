//! Pure work on data: feed layouts, conversion, rejects, partials, summary
