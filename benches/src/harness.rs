//! What benchmarks of several engines have in common: who takes part ([`entrant`]), what is run ([`workloads`]), threads that work in turns
//! ([`crew`]), processes that have only so much memory ([`helper`], [`cgroup`]), the unit of durable work ([`unit`]), and
//! what is told of it all: tables, and with `--record` files of them with charts ([`report`], [`record`], [`chart`]).

pub mod entrant;

pub mod workloads;

pub mod crew;

pub mod unit;

pub mod cgroup;

pub mod helper;

pub mod report;

pub mod record;

pub mod chart;
