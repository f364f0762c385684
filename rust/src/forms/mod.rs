//! Bodies of HTML forms: `application/x-www-form-urlencoded` and `multipart/form-data`.

mod disposition;
pub mod multipart;
pub mod urlencoded;
