//! A control plane and a gateway to try the gate on.
