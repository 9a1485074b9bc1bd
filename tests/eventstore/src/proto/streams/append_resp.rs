//! Nested message and enum types in `AppendResp`.

#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct Position {
    #[prost(uint64, tag = "1")]
    pub commit_position: u64,
    #[prost(uint64, tag = "2")]
    pub prepare_position: u64,
}
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
        Position(super::Position),
        #[prost(message, tag = "4")]
        NoPosition(()),
    }
}
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
pub struct WrongExpectedVersion {
    #[prost(oneof = "wrong_expected_version::CurrentRevisionOption2060", tags = "1, 2")]
    pub current_revision_option_20_6_0:
        ::core::option::Option<wrong_expected_version::CurrentRevisionOption2060>,
    #[prost(oneof = "wrong_expected_version::ExpectedRevisionOption2060", tags = "3, 4, 5")]
    pub expected_revision_option_20_6_0:
        ::core::option::Option<wrong_expected_version::ExpectedRevisionOption2060>,
    #[prost(oneof = "wrong_expected_version::CurrentRevisionOption", tags = "6, 7")]
    pub current_revision_option:
        ::core::option::Option<wrong_expected_version::CurrentRevisionOption>,
    #[prost(oneof = "wrong_expected_version::ExpectedRevisionOption", tags = "8, 9, 10, 11")]
    pub expected_revision_option:
        ::core::option::Option<wrong_expected_version::ExpectedRevisionOption>,
}
/// Nested message and enum types in `WrongExpectedVersion`.
pub mod wrong_expected_version {
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum CurrentRevisionOption2060 {
        #[prost(uint64, tag = "1")]
        CurrentRevision2060(u64),
        #[prost(message, tag = "2")]
        NoStream2060(()),
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum ExpectedRevisionOption2060 {
        #[prost(uint64, tag = "3")]
        ExpectedRevision2060(u64),
        #[prost(message, tag = "4")]
        Any2060(()),
        #[prost(message, tag = "5")]
        StreamExists2060(()),
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum CurrentRevisionOption {
        #[prost(uint64, tag = "6")]
        CurrentRevision(u64),
        #[prost(message, tag = "7")]
        CurrentNoStream(()),
    }
    #[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
    pub enum ExpectedRevisionOption {
        #[prost(uint64, tag = "8")]
        ExpectedRevision(u64),
        #[prost(message, tag = "9")]
        ExpectedAny(()),
        #[prost(message, tag = "10")]
        ExpectedStreamExists(()),
        #[prost(message, tag = "11")]
        ExpectedNoStream(()),
    }
}
#[derive(Clone, Copy, PartialEq, ::prost::Oneof)]
pub enum Result {
    #[prost(message, tag = "1")]
    Success(Success),
    #[prost(message, tag = "2")]
    WrongExpectedVersion(WrongExpectedVersion),
}
