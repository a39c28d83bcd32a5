// Scopes tells what multicast addresses are for and how far they may reach.
//
//	node multicast/scopes/main.js 224.0.0.1 230.185.192.108 239.255.0.1 ff02::1
'use strict'
const { BlockList, isIP, SocketAddress } = require('node:net')

// blocks are those of RFC 5771, section 3, and in 239.0.0.0/8 those of RFC 2365. Each
// ends where the next begins. "Global" means that no border stops it, not that it is yours.
const blocks = [
  ['224.0.0.0', 'link-local', 'local network control block'], // no router forwards these, whatever their TTL
  ['224.0.1.0', 'global', 'internetwork control block'], // NTP is 224.0.1.1
  ['224.0.2.0', 'global', 'AD-HOC block I'],
  ['224.1.0.0', 'global', 'reserved'],
  ['224.2.0.0', 'global', 'SDP/SAP block'],
  ['224.3.0.0', 'global', 'AD-HOC block II'],
  ['224.5.0.0', 'global', 'reserved'],
  ['225.0.0.0', 'global', 'reserved'], // the notes' 230.185.192.108 is one of them
  ['232.0.0.0', 'global', 'source-specific multicast (RFC 4607)'], // see multicast/source
  ['233.0.0.0', 'global', 'GLOP block (RFC 3180)'], // by the number of your autonomous system
  ['233.252.0.0', 'global', 'AD-HOC block III'],
  ['234.0.0.0', 'global', 'unicast-prefix-based (RFC 6034)'],
  ['235.0.0.0', 'global', 'reserved'],
  ['239.0.0.0', 'administrative', 'for the growth of the organization-local scope'],
  ['239.192.0.0', 'administrative', 'organization-local scope'], // yours, where your border routers are set up so
  ['239.196.0.0', 'administrative', 'unassigned'],
  ['239.253.0.0', 'administrative', 'for the growth of the local scope'],
  ['239.255.0.0', 'administrative', 'local scope'], // yours, in one place
  ['240.0.0.0']
]

// Node has no isMulticast, but lists of ranges, made for keeping peers out. What is
// written ::ffff:224.0.0.1 is found in the IPv4 range.
const multicast = new BlockList()
multicast.addSubnet('224.0.0.0', 4)
multicast.addSubnet('ff00::', 8, 'ipv6')

for (const arg of process.argv.slice(2)) {
  if (!isIP(arg)) {
    fail(`classify ${JSON.stringify(arg)}: not an IP address`)
  } else if (!multicast.check(arg, `ipv${isIP(arg)}`)) {
    fail(`classify ${arg}: not a multicast address`)
  } else {
    const [plain, zone] = arg.split('%')
    const { address } = new SocketAddress({ address: plain, family: `ipv${isIP(plain)}` }) // written the usual way
    const ipv4 = address.replace('::ffff:', '')
    if (isIP(ipv4) === 4) console.log(`${ipv4}: ${classify4(number(ipv4))}`)
    else console.log(`${address}${zone ? `%${zone}` : ''}: ${classify6(address)}`)
  }
}
if (process.argv.length === 2) fail('want one IP address, or several')

function fail (message) {
  console.error(`scopes: ${message}`)
  process.exitCode = 1 // the others are answered all the same
}

function classify4 (n) {
  const i = blocks.findIndex(([first]) => number(first) > n) - 1
  const last = number(blocks[i + 1][0]) - 1
  const [first, scope, use] = blocks[i]
  return `${scope}, ${first}-${[24, 16, 8, 0].map((bits) => last >>> bits & 255).join('.')}, ${use}`
}

// number reads the 32 bits of an IPv4 address.
function number (address) {
  return address.split('.').reduce((n, byte) => n * 256 + +byte, 0)
}

// classify6 reads the first 16 bits, ffFS: F are the flags, S is the scope.
function classify6 (address) {
  const scopes = { 0: 'reserved', 1: 'interface-local', 2: 'link-local', 3: 'realm-local', 4: 'admin-local',
    5: 'site-local', 8: 'organization-local', 14: 'global', 15: 'reserved' } // RFC 7346
  const uses = { 0: 'permanent', 1: 'transient', 3: 'unicast-prefix-based (RFC 3306)', 7: 'embedded rendezvous point (RFC 3956)' }
  const [first, second] = address.split(':')
  const flags = parseInt(first[2], 16)
  let bits = 16
  if (flags === 3 && /^0*$/.test(second)) {
    bits = 32
    uses[3] = 'source-specific multicast (RFC 4607)'
  }
  return `${scopes[parseInt(first[3], 16)] ?? 'unassigned'}, ${first}::/${bits}, ${uses[flags] ?? 'reserved'}`
}
