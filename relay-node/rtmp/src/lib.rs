//! The RTMP protocol, sans-IO.
