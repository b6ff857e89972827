//! Pages over a conversation: batches, absent and false ones.

use bytes::Bytes;
use common::ids::{PageId, Role};
use common::protocol::control::PageRequest;
use common::walk::PageSource;

use super::Rig;
use crate::daemons::{PageError, RemotePages};

/// Page `n` of the test's Storage Daemon: 100 KB, so that 30 fill an answer.
fn content(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(25_000)
}

fn id(n: u32) -> PageId {
    PageId::of(&content(n))
}

/// It has pages 0..200; for the id of nines it sends other bytes.
pub(super) fn answer(request: &PageRequest) -> Vec<Bytes> {
    assert!((1..=128).contains(&request.pages.len()));
    let mut out = Vec::new();
    let mut bytes = 0;
    for wanted in &request.pages {
        let page = if wanted == &[9; 32] {
            b"other bytes".to_vec()
        } else {
            let found = (0..200).find(|&n| id(n).0.as_slice() == wanted);
            found.map(content).unwrap_or_default()
        };
        if !out.is_empty() && bytes + page.len() > 3 << 20 {
            break;
        }
        bytes += page.len();
        out.push(Bytes::from(page));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_in_batches_each_checked_against_its_name() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::Storage, "vault1").await;
    let running = rig.start(&store);
    rig.expect_connected(store.current().identity).await;
    let daemon = rig.registry.get(store.current().identity).unwrap();
    let mut pages = RemotePages::new(daemon.clone());
    let walk = tokio::task::spawn_blocking(move || {
        let ids: Vec<PageId> = (0..200).map(id).collect();
        pages.will_need(&ids);
        for (n, &id) in ids.iter().enumerate() {
            assert_eq!(pages.page(id).unwrap(), content(n as u32));
        }
        assert_eq!(pages.page(id(150)).unwrap(), content(150));
        pages.will_need(&[PageId([1; 32])]);
        assert!(matches!(
            pages.page(PageId([1; 32])),
            Err(PageError::Absent(_))
        ));
        assert!(matches!(
            pages.page(PageId([9; 32])),
            Err(PageError::Corrupt(_))
        ));
        pages
    });
    let mut pages = walk.await.unwrap();
    drop(running);
    daemon.gone().await;
    let walk = tokio::task::spawn_blocking(move || pages.page(PageId([1; 32])));
    assert!(matches!(walk.await.unwrap(), Err(PageError::Daemon(_))));
    rig.end().await;
}
