//! Nested message and enum types in `ReadResp`.

#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct CaughtUp {}
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct FellBehind {}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ReadEvent {
    #[prost(message, optional, tag = "1")]
    pub event: ::core::option::Option<read_event::RecordedEvent>,
    #[prost(message, optional, tag = "2")]
    pub link: ::core::option::Option<read_event::RecordedEvent>,
    #[prost(oneof = "read_event::Position", tags = "3, 4")]
    pub position: ::core::option::Option<read_event::Position>,
}
/// Nested message and enum types in `ReadEvent`.
pub mod read_event {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct RecordedEvent {
        #[prost(message, optional, tag = "1")]
        pub id: ::core::option::Option<super::super::super::Uuid>,
        #[prost(message, optional, tag = "2")]
        pub stream_identifier: ::core::option::Option<super::super::super::StreamIdentifier>,
        #[prost(uint64, tag = "3")]
        pub stream_revision: u64,
        #[prost(uint64, tag = "4")]
        pub prepare_position: u64,
        #[prost(uint64, tag = "5")]
        pub commit_position: u64,
        #[prost(map = "string, string", tag = "6")]
        pub metadata: ::std::collections::HashMap<
            ::prost::alloc::string::String,
            ::prost::alloc::string::String,
        >,
        #[prost(bytes = "bytes", tag = "7")]
        pub custom_metadata: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "8")]
        pub data: ::prost::bytes::Bytes,
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum Position {
        #[prost(uint64, tag = "3")]
        CommitPosition(u64),
        #[prost(message, tag = "4")]
        NoPosition(()),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SubscriptionConfirmation {
    #[prost(string, tag = "1")]
    pub subscription_id: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct Checkpoint {
    #[prost(uint64, tag = "1")]
    pub commit_position: u64,
    #[prost(uint64, tag = "2")]
    pub prepare_position: u64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamNotFound {
    #[prost(message, optional, tag = "1")]
    pub stream_identifier: ::core::option::Option<super::super::StreamIdentifier>,
}
#[derive(Clone, PartialEq, ::prost::Oneof)]
pub enum Content {
    #[prost(message, tag = "1")]
    Event(ReadEvent),
    #[prost(message, tag = "2")]
    Confirmation(SubscriptionConfirmation),
    #[prost(message, tag = "3")]
    Checkpoint(Checkpoint),
    #[prost(message, tag = "4")]
    StreamNotFound(StreamNotFound),
    #[prost(uint64, tag = "5")]
    FirstStreamPosition(u64),
    #[prost(uint64, tag = "6")]
    LastStreamPosition(u64),
    #[prost(message, tag = "7")]
    LastAllStreamPosition(super::super::AllStreamPosition),
    #[prost(message, tag = "8")]
    CaughtUp(CaughtUp),
    #[prost(message, tag = "9")]
    FellBehind(FellBehind),
}
