//! Bodies of HTML forms: `application/x-www-form-urlencoded` and `multipart/form-data`.
