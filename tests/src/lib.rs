//! The whole system from outside: real workerd, real node, real encoders and servers.
