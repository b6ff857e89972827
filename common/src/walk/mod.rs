//! THE walk, PURE: what a root reaches, and the difference of two roots. Visitors are everyone else's.
