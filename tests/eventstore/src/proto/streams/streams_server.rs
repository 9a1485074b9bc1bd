//! Generated server implementations.

use tonic::codegen::*;
/// Generated trait containing gRPC methods that should be implemented for use with StreamsServer.
#[async_trait]
pub trait Streams: std::marker::Send + std::marker::Sync + 'static {
    /// Server streaming response type for the Read method.
    type ReadStream: tonic::codegen::tokio_stream::Stream<
            Item = std::result::Result<super::ReadResp, tonic::Status>,
        > + std::marker::Send
        + 'static;
    async fn read(
        &self,
        request: tonic::Request<super::ReadReq>,
    ) -> std::result::Result<tonic::Response<Self::ReadStream>, tonic::Status>;
    async fn append(
        &self,
        request: tonic::Request<tonic::Streaming<super::AppendReq>>,
    ) -> std::result::Result<tonic::Response<super::AppendResp>, tonic::Status>;
    async fn delete(
        &self,
        request: tonic::Request<super::DeleteReq>,
    ) -> std::result::Result<tonic::Response<super::DeleteResp>, tonic::Status>;
    async fn tombstone(
        &self,
        request: tonic::Request<super::TombstoneReq>,
    ) -> std::result::Result<tonic::Response<super::TombstoneResp>, tonic::Status>;
    /// Server streaming response type for the BatchAppend method.
    type BatchAppendStream: tonic::codegen::tokio_stream::Stream<
            Item = std::result::Result<super::BatchAppendResp, tonic::Status>,
        > + std::marker::Send
        + 'static;
    async fn batch_append(
        &self,
        request: tonic::Request<tonic::Streaming<super::BatchAppendReq>>,
    ) -> std::result::Result<tonic::Response<Self::BatchAppendStream>, tonic::Status>;
}
#[derive(Debug)]
pub struct StreamsServer<T> {
    inner: Arc<T>,
    accept_compression_encodings: EnabledCompressionEncodings,
    send_compression_encodings: EnabledCompressionEncodings,
    max_decoding_message_size: Option<usize>,
    max_encoding_message_size: Option<usize>,
}
impl<T> StreamsServer<T> {
    pub fn new(inner: T) -> Self {
        Self::from_arc(Arc::new(inner))
    }
    pub fn from_arc(inner: Arc<T>) -> Self {
        Self {
            inner,
            accept_compression_encodings: Default::default(),
            send_compression_encodings: Default::default(),
            max_decoding_message_size: None,
            max_encoding_message_size: None,
        }
    }
    pub fn with_interceptor<F>(inner: T, interceptor: F) -> InterceptedService<Self, F>
    where
        F: tonic::service::Interceptor,
    {
        InterceptedService::new(Self::new(inner), interceptor)
    }
    /// Enable decompressing requests with the given encoding.
    #[must_use]
    pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
        self.accept_compression_encodings.enable(encoding);
        self
    }
    /// Compress responses with the given encoding, if the client supports it.
    #[must_use]
    pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
        self.send_compression_encodings.enable(encoding);
        self
    }
    /// Limits the maximum size of a decoded message.
    ///
    /// Default: `4MB`
    #[must_use]
    pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
        self.max_decoding_message_size = Some(limit);
        self
    }
    /// Limits the maximum size of an encoded message.
    ///
    /// Default: `usize::MAX`
    #[must_use]
    pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
        self.max_encoding_message_size = Some(limit);
        self
    }
}
impl<T, B> tonic::codegen::Service<http::Request<B>> for StreamsServer<T>
where
    T: Streams,
    B: Body + std::marker::Send + 'static,
    B::Error: Into<StdError> + std::marker::Send + 'static,
{
    type Response = http::Response<tonic::body::BoxBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, req: http::Request<B>) -> Self::Future {
        match req.uri().path() {
            "/event_store.client.streams.Streams/Read" => {
                struct ReadSvc<T: Streams>(pub Arc<T>);
                impl<T: Streams> tonic::server::ServerStreamingService<super::ReadReq> for ReadSvc<T> {
                    type Response = super::ReadResp;
                    type ResponseStream = T::ReadStream;
                    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, tonic::Status>;
                    fn call(&mut self, request: tonic::Request<super::ReadReq>) -> Self::Future {
                        let inner = Arc::clone(&self.0);
                        let fut = async move { <T as Streams>::read(&inner, request).await };
                        Box::pin(fut)
                    }
                }
                let accept_compression_encodings = self.accept_compression_encodings;
                let send_compression_encodings = self.send_compression_encodings;
                let max_decoding_message_size = self.max_decoding_message_size;
                let max_encoding_message_size = self.max_encoding_message_size;
                let inner = self.inner.clone();
                let fut = async move {
                    let method = ReadSvc(inner);
                    let codec = tonic::codec::ProstCodec::default();
                    let mut grpc = tonic::server::Grpc::new(codec)
                        .apply_compression_config(
                            accept_compression_encodings,
                            send_compression_encodings,
                        )
                        .apply_max_message_size_config(
                            max_decoding_message_size,
                            max_encoding_message_size,
                        );
                    let res = grpc.server_streaming(method, req).await;
                    Ok(res)
                };
                Box::pin(fut)
            }
            "/event_store.client.streams.Streams/Append" => {
                struct AppendSvc<T: Streams>(pub Arc<T>);
                impl<T: Streams> tonic::server::ClientStreamingService<super::AppendReq> for AppendSvc<T> {
                    type Response = super::AppendResp;
                    type Future = BoxFuture<tonic::Response<Self::Response>, tonic::Status>;
                    fn call(
                        &mut self,
                        request: tonic::Request<tonic::Streaming<super::AppendReq>>,
                    ) -> Self::Future {
                        let inner = Arc::clone(&self.0);
                        let fut = async move { <T as Streams>::append(&inner, request).await };
                        Box::pin(fut)
                    }
                }
                let accept_compression_encodings = self.accept_compression_encodings;
                let send_compression_encodings = self.send_compression_encodings;
                let max_decoding_message_size = self.max_decoding_message_size;
                let max_encoding_message_size = self.max_encoding_message_size;
                let inner = self.inner.clone();
                let fut = async move {
                    let method = AppendSvc(inner);
                    let codec = tonic::codec::ProstCodec::default();
                    let mut grpc = tonic::server::Grpc::new(codec)
                        .apply_compression_config(
                            accept_compression_encodings,
                            send_compression_encodings,
                        )
                        .apply_max_message_size_config(
                            max_decoding_message_size,
                            max_encoding_message_size,
                        );
                    let res = grpc.client_streaming(method, req).await;
                    Ok(res)
                };
                Box::pin(fut)
            }
            "/event_store.client.streams.Streams/Delete" => {
                struct DeleteSvc<T: Streams>(pub Arc<T>);
                impl<T: Streams> tonic::server::UnaryService<super::DeleteReq> for DeleteSvc<T> {
                    type Response = super::DeleteResp;
                    type Future = BoxFuture<tonic::Response<Self::Response>, tonic::Status>;
                    fn call(&mut self, request: tonic::Request<super::DeleteReq>) -> Self::Future {
                        let inner = Arc::clone(&self.0);
                        let fut = async move { <T as Streams>::delete(&inner, request).await };
                        Box::pin(fut)
                    }
                }
                let accept_compression_encodings = self.accept_compression_encodings;
                let send_compression_encodings = self.send_compression_encodings;
                let max_decoding_message_size = self.max_decoding_message_size;
                let max_encoding_message_size = self.max_encoding_message_size;
                let inner = self.inner.clone();
                let fut = async move {
                    let method = DeleteSvc(inner);
                    let codec = tonic::codec::ProstCodec::default();
                    let mut grpc = tonic::server::Grpc::new(codec)
                        .apply_compression_config(
                            accept_compression_encodings,
                            send_compression_encodings,
                        )
                        .apply_max_message_size_config(
                            max_decoding_message_size,
                            max_encoding_message_size,
                        );
                    let res = grpc.unary(method, req).await;
                    Ok(res)
                };
                Box::pin(fut)
            }
            "/event_store.client.streams.Streams/Tombstone" => {
                struct TombstoneSvc<T: Streams>(pub Arc<T>);
                impl<T: Streams> tonic::server::UnaryService<super::TombstoneReq> for TombstoneSvc<T> {
                    type Response = super::TombstoneResp;
                    type Future = BoxFuture<tonic::Response<Self::Response>, tonic::Status>;
                    fn call(
                        &mut self,
                        request: tonic::Request<super::TombstoneReq>,
                    ) -> Self::Future {
                        let inner = Arc::clone(&self.0);
                        let fut = async move { <T as Streams>::tombstone(&inner, request).await };
                        Box::pin(fut)
                    }
                }
                let accept_compression_encodings = self.accept_compression_encodings;
                let send_compression_encodings = self.send_compression_encodings;
                let max_decoding_message_size = self.max_decoding_message_size;
                let max_encoding_message_size = self.max_encoding_message_size;
                let inner = self.inner.clone();
                let fut = async move {
                    let method = TombstoneSvc(inner);
                    let codec = tonic::codec::ProstCodec::default();
                    let mut grpc = tonic::server::Grpc::new(codec)
                        .apply_compression_config(
                            accept_compression_encodings,
                            send_compression_encodings,
                        )
                        .apply_max_message_size_config(
                            max_decoding_message_size,
                            max_encoding_message_size,
                        );
                    let res = grpc.unary(method, req).await;
                    Ok(res)
                };
                Box::pin(fut)
            }
            "/event_store.client.streams.Streams/BatchAppend" => {
                struct BatchAppendSvc<T: Streams>(pub Arc<T>);
                impl<T: Streams> tonic::server::StreamingService<super::BatchAppendReq> for BatchAppendSvc<T> {
                    type Response = super::BatchAppendResp;
                    type ResponseStream = T::BatchAppendStream;
                    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, tonic::Status>;
                    fn call(
                        &mut self,
                        request: tonic::Request<tonic::Streaming<super::BatchAppendReq>>,
                    ) -> Self::Future {
                        let inner = Arc::clone(&self.0);
                        let fut =
                            async move { <T as Streams>::batch_append(&inner, request).await };
                        Box::pin(fut)
                    }
                }
                let accept_compression_encodings = self.accept_compression_encodings;
                let send_compression_encodings = self.send_compression_encodings;
                let max_decoding_message_size = self.max_decoding_message_size;
                let max_encoding_message_size = self.max_encoding_message_size;
                let inner = self.inner.clone();
                let fut = async move {
                    let method = BatchAppendSvc(inner);
                    let codec = tonic::codec::ProstCodec::default();
                    let mut grpc = tonic::server::Grpc::new(codec)
                        .apply_compression_config(
                            accept_compression_encodings,
                            send_compression_encodings,
                        )
                        .apply_max_message_size_config(
                            max_decoding_message_size,
                            max_encoding_message_size,
                        );
                    let res = grpc.streaming(method, req).await;
                    Ok(res)
                };
                Box::pin(fut)
            }
            _ => Box::pin(async move {
                let mut response = http::Response::new(empty_body());
                let headers = response.headers_mut();
                headers
                    .insert(tonic::Status::GRPC_STATUS, (tonic::Code::Unimplemented as i32).into());
                headers.insert(http::header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
                Ok(response)
            }),
        }
    }
}
impl<T> Clone for StreamsServer<T> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        Self {
            inner,
            accept_compression_encodings: self.accept_compression_encodings,
            send_compression_encodings: self.send_compression_encodings,
            max_decoding_message_size: self.max_decoding_message_size,
            max_encoding_message_size: self.max_encoding_message_size,
        }
    }
}
/// Generated gRPC service name
pub const SERVICE_NAME: &str = "event_store.client.streams.Streams";
impl<T> tonic::server::NamedService for StreamsServer<T> {
    const NAME: &'static str = SERVICE_NAME;
}
