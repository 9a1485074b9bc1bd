//! Nested message and enum types in `BatchAppendReq`.

#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Options {
    #[prost(message, optional, tag = "1")]
    pub stream_identifier: ::core::option::Option<super::super::StreamIdentifier>,
    #[prost(oneof = "options::ExpectedStreamPosition", tags = "2, 3, 4, 5")]
    pub expected_stream_position: ::core::option::Option<options::ExpectedStreamPosition>,
    #[prost(oneof = "options::DeadlineOption", tags = "6, 7")]
    pub deadline_option: ::core::option::Option<options::DeadlineOption>,
}
/// Nested message and enum types in `Options`.
pub mod options {
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum ExpectedStreamPosition {
        #[prost(uint64, tag = "2")]
        StreamPosition(u64),
        #[prost(message, tag = "3")]
        NoStream(()),
        #[prost(message, tag = "4")]
        Any(()),
        #[prost(message, tag = "5")]
        StreamExists(()),
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum DeadlineOption {
        #[prost(message, tag = "6")]
        Deadline21100(::prost_types::Timestamp),
        #[prost(message, tag = "7")]
        Deadline(::prost_types::Duration),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ProposedMessage {
    #[prost(message, optional, tag = "1")]
    pub id: ::core::option::Option<super::super::Uuid>,
    #[prost(map = "string, string", tag = "2")]
    pub metadata:
        ::std::collections::HashMap<::prost::alloc::string::String, ::prost::alloc::string::String>,
    #[prost(bytes = "bytes", tag = "3")]
    pub custom_metadata: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub data: ::prost::bytes::Bytes,
}
