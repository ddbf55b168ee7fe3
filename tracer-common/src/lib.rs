//! The wire contract between kernel and user: integers only, no padding, no dependencies.
#![no_std]
