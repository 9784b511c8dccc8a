//! What is read from text: scenarios, expressions, the examples of the documents, and hostile input.

mod data;
mod fuzz;
mod readme;
mod scenarios;
