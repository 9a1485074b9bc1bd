//! Nested message and enum types in `BatchAppendResp`.

#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct Success {
    #[prost(oneof = "success::CurrentRevisionOption", tags = "1, 2")]
    pub current_revision_option: ::core::option::Option<success::CurrentRevisionOption>,
    #[prost(oneof = "success::PositionOption", tags = "3, 4")]
    pub position_option: ::core::option::Option<success::PositionOption>,
}
/// Nested message and enum types in `Success`.
pub mod success {
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum CurrentRevisionOption {
        #[prost(uint64, tag = "1")]
        CurrentRevision(u64),
        #[prost(message, tag = "2")]
        NoStream(()),
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum PositionOption {
        #[prost(message, tag = "3")]
        Position(super::super::super::AllStreamPosition),
        #[prost(message, tag = "4")]
        NoPosition(()),
    }
}
#[derive(Clone, PartialEq, ::prost::Oneof)]
pub enum Result {
    #[prost(message, tag = "2")]
    Error(crate::proto::google::Status),
    #[prost(message, tag = "3")]
    Success(Success),
}
#[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
pub enum ExpectedStreamPosition {
    #[prost(uint64, tag = "5")]
    StreamPosition(u64),
    #[prost(message, tag = "6")]
    NoStream(()),
    #[prost(message, tag = "7")]
    Any(()),
    #[prost(message, tag = "8")]
    StreamExists(()),
}
