//! Makes the service's server and client from Rust alone: no `.proto` file, and no protoc.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let find = Method::builder()
        .name("find")
        .route_name("Find")
        .input_type("crate::FindRequest")
        .output_type("crate::FindReply")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let videos = Service::builder()
        .name("Videos")
        .package("example.v1")
        .method(find)
        .build();
    Builder::new().compile(&[videos]);
}
