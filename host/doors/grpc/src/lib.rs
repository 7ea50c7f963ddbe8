//! gRPC.
mod body;
mod builtin;
mod compile;
mod config;
mod decode;
mod door;
mod encode;
mod error;
mod file;
mod files;
mod frame;
mod input;
mod merge;
mod naming;
mod plan;
mod print;
mod status;
mod web;

pub use config::GrpcConfig;
pub use door::{GrpcDoor, protos};
pub use files::ProtoFiles;
