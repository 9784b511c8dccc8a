//! Every landscape, built in or written as text, against the contract of landscapes and its closed forms.
//!
//! One program, because each would compile the landscapes anew.

mod built_in;
mod contract;
mod manifolds;
mod written;
