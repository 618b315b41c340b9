//! One live input on air, sans-IO.
