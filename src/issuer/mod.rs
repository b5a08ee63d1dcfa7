//! Issues keys and zone tokens as kumactl does. Native only.
