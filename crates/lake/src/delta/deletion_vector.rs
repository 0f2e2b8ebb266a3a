//! Bitmaps of rows that are deleted though their file still holds them, as the Delta protocol lays them
//! down: small ones stand in the log itself, the others of a commit share one file.

use bytes::Bytes;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor as StoredVector;
use delta_kernel::actions::deletion_vector_writer::{
    KernelDeletionVector, StreamingDeletionVectorWriter,
};
use deltalake_core::kernel::{DeletionVectorDescriptor, StorageType};
use deltalake_core::logstore::LogStoreRef;
use roaring::RoaringTreemap;
use uuid::Uuid;

use crate::error::Error;
use crate::lake::TableFolder;

/// Magic number of a portable bitmap (Delta protocol, Deletion Vector Format).
const MAGIC: u32 = 1_681_511_377;
/// A bitmap up to this size goes into the log.
const INLINE_BYTES: usize = 256;

/// The rows that a vector deletes, by their number in the file.
///
/// # Errors
///
/// The vector's file is not there or damaged.
pub(crate) async fn read(
    folder: &TableFolder,
    log: &LogStoreRef,
    vector: &DeletionVectorDescriptor,
) -> Result<RoaringTreemap, Error> {
    let failed = |source: delta_kernel::Error| Error::Delta {
        action: "reading the deletion vector of",
        table: folder.address.clone(),
        source: Box::new(source.into()),
    };
    let stored: StoredVector = vector.clone().try_into().map_err(failed)?;
    let (storage, root) = (log.engine(None).storage_handler(), folder.url.clone());
    // The kernel waits for the store by itself, which a thread of the runtime must not.
    let read = tokio::task::spawn_blocking(move || stored.read(storage, &root));
    read.await.map_err(|error| Error::Internal(Box::new(error)))?.map_err(failed)
}

/// Stores the bitmaps of a commit; returns how the log refers to each.
///
/// # Errors
///
/// The place refuses.
pub(crate) async fn write(
    folder: &TableFolder,
    bitmaps: Vec<RoaringTreemap>,
) -> Result<Vec<DeletionVectorDescriptor>, Error> {
    let internal = |source: delta_kernel::Error| Error::Internal(Box::new(source));
    let id = Uuid::new_v4();
    let mut file = Vec::new();
    let mut writer = StreamingDeletionVectorWriter::new(&mut file);
    let mut vectors = Vec::with_capacity(bitmaps.len());
    for bitmap in bitmaps {
        let cardinality = i64::try_from(bitmap.len()).unwrap_or(i64::MAX);
        if bitmap.serialized_size() <= INLINE_BYTES {
            vectors.push(inline(&bitmap, cardinality)?);
            continue;
        }
        let mut vector = KernelDeletionVector::new();
        vector.add_deleted_row_indexes(bitmap.iter());
        let stored = writer.write_deletion_vector(vector).map_err(internal)?;
        vectors.push(DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: z85::encode(id.as_bytes()),
            offset: Some(stored.offset),
            size_in_bytes: stored.size_in_bytes,
            cardinality: stored.cardinality,
        });
    }
    writer.finalize().map_err(internal)?;
    if vectors.iter().any(|vector| vector.storage_type != StorageType::Inline) {
        let name = format!("deletion_vector_{id}.bin");
        folder.place.write(&name, Bytes::from(file)).await?;
    }
    Ok(vectors)
}

fn inline(bitmap: &RoaringTreemap, cardinality: i64) -> Result<DeletionVectorDescriptor, Error> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    bitmap.serialize_into(&mut bytes).map_err(|error| Error::Internal(Box::new(error)))?;
    let size_in_bytes = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    // The text encodes groups of four bytes; readers stop where the bitmap ends.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Ok(DeletionVectorDescriptor {
        storage_type: StorageType::Inline,
        path_or_inline_dv: z85::encode(&bytes),
        offset: None,
        size_in_bytes,
        cardinality,
    })
}
