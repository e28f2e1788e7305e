//! Statements about the objects of the lake.

pub(in crate::sqlite) const OBJECTS: &str = "
    SELECT converted_object FROM file_version WHERE converted_object IS NOT NULL
     UNION ALL SELECT partial_object FROM file_version WHERE partial_object IS NOT NULL
     UNION ALL SELECT rejects_object FROM file_version WHERE rejects_object IS NOT NULL
     UNION ALL SELECT summary_object FROM job_run WHERE summary_object IS NOT NULL
     UNION ALL SELECT coverage_object FROM job_run WHERE coverage_object IS NOT NULL";
