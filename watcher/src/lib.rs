//! Where files come from: a local folder, watched and listed
