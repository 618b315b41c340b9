//! Workers adapters of the control plane.
