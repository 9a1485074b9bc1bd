//! Nested message and enum types in `AppendReq`.

#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Options {
    #[prost(message, optional, tag = "1")]
    pub stream_identifier: ::core::option::Option<super::super::StreamIdentifier>,
    #[prost(oneof = "options::ExpectedStreamRevision", tags = "2, 3, 4, 5")]
    pub expected_stream_revision: ::core::option::Option<options::ExpectedStreamRevision>,
}
/// Nested message and enum types in `Options`.
pub mod options {
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum ExpectedStreamRevision {
        #[prost(uint64, tag = "2")]
        Revision(u64),
        #[prost(message, tag = "3")]
        NoStream(()),
        #[prost(message, tag = "4")]
        Any(()),
        #[prost(message, tag = "5")]
        StreamExists(()),
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
#[derive(Clone, PartialEq, ::prost::Oneof)]
pub enum Content {
    #[prost(message, tag = "1")]
    Options(Options),
    #[prost(message, tag = "2")]
    ProposedMessage(ProposedMessage),
}
